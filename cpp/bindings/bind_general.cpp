// Known covariances of levels: their factor, and the ancestry that one may come from.
#include <pybind11/eigen.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "general.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "ranef/general_glmm.hpp"
#include "ranef/pedigree.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

struct PrecisionFactor {
  ranef::Supernodal factor;
  bool is_positive;
};

PrecisionFactor factored(const Triangle& precision) {
  const ranef::SparseLower Q = sparse_lower(precision);
  const WithoutLock release;
  PrecisionFactor out;
  out.is_positive =
      ranef::factor_precision(Q, static_cast<ranef::Index>(Q.start.size()) - 1, out.factor);
  return out;
}

// M B with M M' = Q^-1.
ranef::Matrix spread(const PrecisionFactor& self, const ranef::Matrix& B) {
  if (B.rows() != self.factor.size()) throw std::invalid_argument("B: not one row for each level");
  const WithoutLock release;
  ranef::RowMatrix out = B;
  self.factor.solve_upper(out);
  return out;
}

// Diagonal of Q^-1.
ranef::Vector diagonal(const PrecisionFactor& self) {
  const WithoutLock release;
  ranef::Supernodal factor = self.factor;
  const ranef::Vector& inverse = factor.invert();
  ranef::Vector out(factor.size());
  for (ranef::Index i = 0; i < out.size(); ++i) out(i) = inverse(factor.position(i, i));
  return out;
}

std::unique_ptr<ranef::GeneralGlmm> make_general_glmm(
    const ranef::Vector& y, const std::vector<Column>& columns, const std::vector<int>& fixed,
    const std::vector<Term>& members, const std::vector<GeneralTerm>& terms,
    const ranef::Vector& weights, const ranef::Vector& offset, const std::string& family,
    const std::string& link) {
  const ranef::Input input = read_rows(y.size(), columns, fixed, members, std::nullopt);
  const ranef::GeneralTerms general = general_terms(terms);
  const WithoutLock release;
  return std::make_unique<ranef::GeneralGlmm>(input, general, ranef::parse_likelihood(family, link),
                                              ranef::ResponseRows{y, weights}, offset);
}

ranef::Vector glmm_variances(ranef::GeneralGlmm& self, const ranef::Matrix& X,
                             const ranef::Matrix& cov_beta, const std::vector<ranef::Index>& start,
                             const std::vector<std::int32_t>& column,
                             const std::vector<double>& value) {
  const WithoutLock release;
  return self.prediction_variances(X, cov_beta, {start, column, value});
}

void bind_glmm_of_general_terms(py::module_& m) {
  using ranef::GeneralGlmm;
  using release = py::call_guard<WithoutLock>;

  py::class_<GeneralGlmm> cls(
      m, "GeneralGlmm", py::module_local(),
      "Rows and plan of a generalised linear mixed model of general terms.");
  cls.def(py::init(&make_general_glmm), "y"_a, "columns"_a, "fixed"_a, "members"_a, "terms"_a,
          "weights"_a, "offset"_a, "family"_a, "link"_a)
      .def(
          "evaluate",
          [](GeneralGlmm& self, const ranef::Vector& theta, const ranef::Vector& beta,
             double dispersion) { return self.evaluate({theta, beta, dispersion}); },
          "theta"_a, "beta"_a, "dispersion"_a = 1.0, release())
      .def("general_variances", &glmm_variances, "X"_a, "cov_beta"_a, "start"_a, "column"_a,
           "value"_a)
      .def("factors", &GeneralGlmm::lambda, "theta"_a, "standard"_a = false, release())
      .def("term_basis", &GeneralGlmm::term_basis, "term"_a);
  add_kept(cls);
  add_members(
      cls, {copied<&GeneralGlmm::eta>("eta"), copied<&GeneralGlmm::parameters>("parameters"),
            copied<&BasisOf<GeneralGlmm>::T>("T"),
            called<&GeneralGlmm::gradient, WithoutLock>("gradient"),
            called<&GeneralGlmm::gradient_by_factors, WithoutLock>("gradient_by_factors"),
            called<&GeneralGlmm::information_beta, WithoutLock>("information_beta"),
            called<&GeneralGlmm::modes, WithoutLock>("modes"),
            called<&GeneralGlmm::conditional_covariances, WithoutLock>("conditional_covariances"),
            called<&GeneralGlmm::restart, WithoutLock>("restart")});
}

}  // namespace

void bind_general(py::module_& m) {
  py::class_<PrecisionFactor> cls(m, "PrecisionFactor", py::module_local(),
                                  "Factor of a known precision.");
  cls.def(py::init(&factored), "precision"_a)
      .def("spread", &spread, "B"_a)
      .def("diagonal", &diagonal);
  add_members(cls, {viewed<&PrecisionFactor::is_positive>("is_positive")});

  add_record<ranef::Ancestry>(
      m, "Ancestry", "Inbreeding of a pedigree.",
      {viewed<&ranef::Ancestry::inbreeding>("inbreeding"),
       viewed<&ranef::Ancestry::mendelian>("mendelian"), viewed<&ranef::Ancestry::loop>("loop")});
  m.def(
      "trace_ancestry",
      [](const ranef::Animals& sire, const ranef::Animals& dam) {
        const WithoutLock release;
        return ranef::trace_ancestry(sire, dam);
      },
      "sire"_a, "dam"_a);
  bind_glmm_of_general_terms(m);
}
