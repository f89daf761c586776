// The extension module: exceptions and the registration of each concept.
#include <pybind11/pybind11.h>

#include <cstdio>
#include <new>

#include "bindings.hpp"
#include "ranef/eigen.hpp"
#include "ranef/errors.hpp"
#include "ranef/memory.hpp"

namespace py = pybind11;

#define RANEF_STR_(x) #x
#define RANEF_STR(x) RANEF_STR_(x)

static void translate(std::exception_ptr p) {
  const auto raise = [](const char* name, const char* message) {
    py::set_error(py::module_::import("ranef.errors").attr(name), message);
  };
  try {
    if (p) std::rethrow_exception(p);
  } catch (const ranef::ModelTooLarge& e) {
    raise("ModelError", e.what());
  } catch (const std::bad_alloc&) {
    char message[160];
    std::snprintf(message, sizeof message,
                  "the model needs more memory than this process may have: %.1f GB are free. Fit "
                  "fewer rows or levels, or on a machine with more memory.",
                  ranef::free_memory() / 1e9);
    raise("ModelError", message);
  } catch (const ranef::PerfectFit& e) {
    raise("ModelError", e.what());
  } catch (const ranef::FitFailure& e) {
    raise("FitError", e.what());
  }
}

PYBIND11_MODULE(RANEF_MODULE, m, py::mod_gil_not_used()) {
  m.doc() = "Numeric core of ranef; every array argument is taken as it is, without a copy.";
  py::register_local_exception_translator(&translate);
  m.attr("isa") = RANEF_STR(RANEF_MODULE);
  m.attr("simd") = Eigen::SimdInstructionSetsInUse();
  bind_structure(m);
  bind_absorb(m);
  bind_crossed_glmm(m);
  bind_gee(m);
  bind_general(m);
  bind_glmm(m);
  bind_glmm_batch(m);
  bind_lmm(m);
  bind_sandwich(m);
  bind_batch(m);
  bind_merge(m);
  bind_mixture(m);
  bind_predictors(m);
  bind_structured(m);
}
