// One registering function per concept.
#pragma once

#include <pybind11/pybind11.h>

void bind_lmm(pybind11::module_& m);
void bind_batch(pybind11::module_& m);
void bind_merge(pybind11::module_& m);
