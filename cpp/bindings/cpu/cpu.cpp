// Asks the processor which instruction sets it has, before any variant of the core is loaded.
#include <pybind11/pybind11.h>

namespace py = pybind11;

static bool supports_x86_64_v3() {
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
#else
  return false;
#endif
}

PYBIND11_MODULE(_cpu, m, py::mod_gil_not_used()) {
  m.doc() = "What this processor can run.";
  m.def("supports_x86_64_v3", &supports_x86_64_v3,
        "Whether this processor has AVX2, FMA and BMI2.");
}
