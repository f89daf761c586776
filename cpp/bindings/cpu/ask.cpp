// For the build: exit status 0 if the processor that builds is an x86-64-v3.
#include "cpu.hpp"

int main() { return supports_x86_64_v3() ? 0 : 1; }
