#include <pybind11/eigen.h>
#include <pybind11/pybind11.h>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "ranef/sandwich.hpp"
#include "ranef/sandwich_mixed.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_sandwich(py::module_& m) {
  m.def("sum_by_cluster", &ranef::sum_by_cluster, py::arg("X").noconvert(),
        py::arg("codes").noconvert(), "n_clusters"_a, py::call_guard<WithoutLock>(),
        "Add up the rows of X (n, p) by cluster, giving (n_clusters, p).");
  m.def("gram_by_cluster", &ranef::gram_by_cluster, py::arg("X").noconvert(),
        py::arg("codes").noconvert(), "first"_a, "last"_a, py::call_guard<WithoutLock>(),
        "Cross products X_g'X_g of the clusters first to last - 1, each one row of p * p numbers.");
  m.def("order_by_cluster", &ranef::order_by_cluster, py::arg("codes").noconvert(), "n_clusters"_a,
        py::call_guard<WithoutLock>(),
        "Positions of the rows, sorted by cluster and by place in the data.");
  using namespace ranef;
  add_record<MarginalPieces>(
      m, "MarginalPieces", "What clusters of a mixed model contribute.",
      {viewed<&MarginalPieces::scores>("scores"), viewed<&MarginalPieces::own>("own"),
       viewed<&MarginalPieces::cross>("cross"), viewed<&MarginalPieces::complete>("complete")});
  m.def(
      "marginal_gram",
      [](ConstMatrixRef X, ConstVectorRef resid, ConstVectorRef weights, RowsMatrixRef codes,
         RowsRef sizes, ConstMatrixRef z, ConstMatrixRef sigma, RowsRef order, RowsRef start) {
        return marginal_gram({X, resid, weights, codes, sizes, z, sigma, order, start});
      },
      py::arg("X").noconvert(), py::arg("resid").noconvert(), py::arg("weights").noconvert(),
      py::arg("codes").noconvert(), py::arg("sizes").noconvert(), py::arg("z").noconvert(),
      py::arg("sigma").noconvert(), py::arg("order").noconvert(), py::arg("start").noconvert(),
      py::call_guard<WithoutLock>(), "Sum of X'V^-1 X over clusters.");
  m.def(
      "marginal_pieces",
      [](ConstMatrixRef X, ConstVectorRef resid, ConstVectorRef weights, RowsMatrixRef codes,
         RowsRef sizes, ConstMatrixRef z, ConstMatrixRef sigma, RowsRef order, RowsRef start,
         const std::string& kind, Index first, Index last) {
        return marginal_pieces({X, resid, weights, codes, sizes, z, sigma, order, start}, kind,
                               first, last);
      },
      py::arg("X").noconvert(), py::arg("resid").noconvert(), py::arg("weights").noconvert(),
      py::arg("codes").noconvert(), py::arg("sizes").noconvert(), py::arg("z").noconvert(),
      py::arg("sigma").noconvert(), py::arg("order").noconvert(), py::arg("start").noconvert(),
      "kind"_a, "first"_a, "last"_a, py::call_guard<WithoutLock>(),
      "Adjusted scores of the clusters first to last - 1, where X'V^-1 X = I over all.");
}
