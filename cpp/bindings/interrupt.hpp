// Signals of Python while the core is at work: the only place where it is asked anything.
#pragma once

#include <pybind11/pybind11.h>

#include "ranef/interrupt.hpp"

// For a call without the GIL: now and then let Python's handlers of signals run, and end the call
// by what they raise, such as KeyboardInterrupt. Elsewhere than on the main thread it does nothing.
class EndedBySignals {
 public:
  EndedBySignals()
      : watch_([] {
          const pybind11::gil_scoped_acquire acquired;
          if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
        }) {}

 private:
  ranef::Interruptible watch_;
};

// The guard of a long call: without the GIL, and ended by signals.
class WithoutLock {
 private:
  pybind11::gil_scoped_release released_;
  EndedBySignals signals_;
};
