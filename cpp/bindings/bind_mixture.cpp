// Mixtures of growth curves.
#include <pybind11/eigen.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "ranef/mixture.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_mixture(py::module_& m) {
  using ranef::Mixture;
  using ranef::MixtureRuns;
  using ranef::MixtureSettings;

  py::class_<MixtureSettings>(m, "MixtureSettings", py::module_local(), "When EM ends.")
      .def(py::init([](int max_steps, double tolerance, double smallest) {
             return MixtureSettings{max_steps, tolerance, smallest};
           }),
           "max_steps"_a = 3000, "tolerance"_a = 1e-10, "smallest"_a = 0.0);

  add_record<MixtureRuns>(m, "MixtureRuns", "A column for each start.",
                          {viewed<&MixtureRuns::llf>("llf"), viewed<&MixtureRuns::status>("status"),
                           viewed<&MixtureRuns::steps>("steps"), viewed<&MixtureRuns::at>("at")});

  py::class_<Mixture> cls(m, "Mixture", py::module_local(),
                          "Units in classes with their own curves.");
  cls.def(py::init<const ranef::ConstMatrixRef&, const ranef::ConstVectorRef&,
                   std::vector<ranef::Index>, ranef::Index, ranef::Index, bool, bool,
                   const MixtureSettings&>(),
          py::arg("X").noconvert(), py::arg("y").noconvert(), "start"_a, "classes"_a,
          "n_random"_a = 0, "equal"_a = false, "poisson"_a = false,
          "settings"_a = MixtureSettings{})
      .def("fit", &Mixture::fit, py::arg("labels").noconvert(), "team"_a,
           py::call_guard<WithoutLock>())
      .def("refine", &Mixture::refine, py::arg("at").noconvert(), "team"_a,
           py::call_guard<WithoutLock>())
      .def("density", &Mixture::density, py::arg("at").noconvert(),
           py::call_guard<py::gil_scoped_release>());
  add_members(cls, {copied<&Mixture::size>("size")});
}
