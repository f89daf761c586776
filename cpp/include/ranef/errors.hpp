// Errors of the core that Python translates to classes of ranef.errors.
#pragma once

#include <stdexcept>

namespace ranef {

// The model is well posed but this machine or this kernel cannot hold it.
struct ModelTooLarge : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The fixed effects reproduce the response exactly: nothing is left for random effects.
struct PerfectFit : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The minimiser could not start: no finite objective, or nothing left to fit.
struct FitFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace ranef
