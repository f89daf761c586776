// One registering function per concept.
#pragma once

#include <pybind11/pybind11.h>

void bind_absorb(pybind11::module_& m);
void bind_crossed_glmm(pybind11::module_& m);
void bind_gee(pybind11::module_& m);
void bind_general(pybind11::module_& m);
void bind_glmm(pybind11::module_& m);
void bind_glmm_batch(pybind11::module_& m);
void bind_lmm(pybind11::module_& m);
void bind_sandwich(pybind11::module_& m);
void bind_structure(pybind11::module_& m);
void bind_structured(pybind11::module_& m);
void bind_batch(pybind11::module_& m);
void bind_merge(pybind11::module_& m);
void bind_mixture(pybind11::module_& m);
void bind_predictors(pybind11::module_& m);
