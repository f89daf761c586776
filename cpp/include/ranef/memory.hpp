// How much memory this machine has, and how large arrays are laid out in it.
#pragma once

#include <cstdint>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#include <unistd.h>
#endif
#ifdef __linux__
#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <string>
#endif

#include "ranef/eigen.hpp"

namespace ranef {

// Bytes of physical memory; 16 GB where the system does not tell.
inline double machine_memory() {
#if defined(_SC_PHYS_PAGES) && defined(_SC_PAGESIZE)
  const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
  if (pages > 0 && bytes > 0) return static_cast<double>(pages) * static_cast<double>(bytes);
#endif
  return 16e9;
}

// Share of the free memory that one array of a model may take.
constexpr double kMemoryShare = 0.7;

// Bytes that this process may still ask for: of the machine, of its container where the kernel
// tells, and below the limit on its address space.
inline double free_memory() {
  double bytes = machine_memory();
#ifdef __linux__
  std::string word;
  std::ifstream info("/proc/meminfo");
  while (info >> word) {
    if (word != "MemAvailable:") continue;
    double kilobytes = 0.0;
    if (info >> kilobytes) bytes = std::min(bytes, 1024.0 * kilobytes);
    break;
  }
  double limit = 0.0, used = 0.0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> limit &&
      std::ifstream("/sys/fs/cgroup/memory.current") >> used)
    bytes = std::min(bytes, std::max(0.0, limit - used));
#endif
#if defined(RLIMIT_AS)
  rlimit space{};
  if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) {
    double taken = 0.0;
#ifdef __linux__
    double pages = 0.0;
    if (std::ifstream("/proc/self/statm") >> pages)
      taken = pages * static_cast<double>(sysconf(_SC_PAGESIZE));
#endif
    bytes = std::min(bytes, std::max(0.0, static_cast<double>(space.rlim_cur) - taken));
  }
#endif
  return bytes;
}

// Resize an array without touching it. A large one asks for large pages: the system then hands over
// 2 MB at a time instead of 4 kB, which is most of what a first pass over it costs.
template <class Array>
void resize_large(Array& array, Index rows, Index cols) {
  if (array.rows() == rows && array.cols() == cols) return;
  array.resize(rows, cols);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t kPage = std::uintptr_t{1} << 21;
  const auto begin = reinterpret_cast<std::uintptr_t>(array.data());
  const std::uintptr_t end = begin + sizeof(double) * static_cast<std::uintptr_t>(array.size());
  const std::uintptr_t first = (begin + kPage - 1) / kPage * kPage;
  if (end > first + kPage) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

}  // namespace ranef
