// Which instruction sets the processor has.
#pragma once

#ifdef _MSC_VER
#include <immintrin.h>
#include <intrin.h>
#endif

// AVX2, FMA and BMI2, and an operating system that saves their registers.
inline bool supports_x86_64_v3() {
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
#elif defined(_MSC_VER) && defined(_M_X64)
  int leaf[4];  // eax, ebx, ecx, edx
  __cpuid(leaf, 0);
  if (leaf[0] < 7) return false;
  __cpuid(leaf, 1);
  const bool fma = (leaf[2] & (1 << 12)) != 0, saves = (leaf[2] & (1 << 27)) != 0;
  if (!fma || !saves || (_xgetbv(0) & 6) != 6) return false;
  __cpuidex(leaf, 7, 0);
  return (leaf[1] & (1 << 5)) != 0 && (leaf[1] & (1 << 8)) != 0;
#else
  return false;
#endif
}
