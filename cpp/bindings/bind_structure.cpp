// Covariances of a few parameters.
#include <pybind11/eigen.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "members.hpp"
#include "ranef/structure.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_structure(py::module_& m) {
  using ranef::Structure;
  using release = py::call_guard<py::gil_scoped_release>;

  py::class_<Structure, std::shared_ptr<Structure>> cls(m, "Structure", py::module_local(),
                                                        "Covariance of a block of columns.");
  cls.def(py::init([](const std::string& shape, ranef::Index k, bool homogeneous,
                      const ranef::Matrix& places, const ranef::Matrix& forms) {
            return std::make_shared<Structure>(ranef::parse_shape(shape), k, homogeneous, places,
                                               forms);
          }),
          "shape"_a, "k"_a, "homogeneous"_a, "places"_a = ranef::Matrix(0, 0),
          "forms"_a = ranef::Matrix(0, 0))
      .def("factor", &Structure::factor, "psi"_a, release())
      .def("factor_slopes", &Structure::factor_slopes, "psi"_a, release())
      .def("covariance", &Structure::covariance, "psi"_a, release())
      .def("slopes", &Structure::slopes, "psi"_a, release())
      .def("start", &Structure::start, "variances"_a, "number"_a, release())
      .def("margin", &Structure::margin, "psi"_a, release())
      .def("natural", &Structure::natural, "psi"_a, "scale"_a, release())
      .def("from_natural", &Structure::from_natural, "natural"_a, "scale"_a, release())
      .def("between", &Structure::between, "psi"_a, "places"_a, release());
  add_members(
      cls, {copied<&Structure::n_parameters>("n_parameters"), copied<&Structure::n_sds>("n_sds")});
}
