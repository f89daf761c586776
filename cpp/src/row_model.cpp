#include "ranef/row_model.hpp"

#include <algorithm>
#include <initializer_list>
#include <stdexcept>

#include "row_model_of.hpp"

namespace ranef {
namespace {

using Make = std::unique_ptr<RowModel> (*)(Link, bool, RowModelRows);

struct Kind {
  Make make;
  std::initializer_list<Link> links;
};

constexpr std::initializer_list<Link> kPositive = {Link::log, Link::identity, Link::inverse,
                                                   Link::sqrt};
constexpr std::initializer_list<Link> kReal = {Link::identity, Link::log, Link::inverse,
                                               Link::sqrt};
constexpr std::initializer_list<Link> kShares = {Link::logit,   Link::probit,  Link::cloglog,
                                                 Link::loglog,  Link::cauchit, Link::log,
                                                 Link::identity};
constexpr std::initializer_list<Link> kCumulative = {Link::logit, Link::probit, Link::cloglog,
                                                     Link::loglog, Link::cauchit};
constexpr std::initializer_list<Link> kLog = {Link::log};
constexpr std::initializer_list<Link> kIdentity = {Link::identity};
constexpr std::initializer_list<Link> kLogit = {Link::logit};

Kind kind_of(Distribution distribution) {
  switch (distribution) {
    case Distribution::gaussian:
      return {gaussian_rows, kReal};
    case Distribution::binomial:
      return {binomial_rows, kShares};
    case Distribution::poisson:
      return {poisson_rows, kPositive};
    case Distribution::gamma:
      return {gamma_rows, kPositive};
    case Distribution::negative_binomial:
      return {negative_binomial_rows, kPositive};
    case Distribution::betabinomial:
      return {betabinomial_rows, kCumulative};
    case Distribution::nbinom1:
      return {nbinom1_rows, kPositive};
    case Distribution::generalized_poisson:
      return {generalized_poisson_rows, kPositive};
    case Distribution::compois:
      return {compois_rows, kLog};
    case Distribution::truncated_poisson:
      return {truncated_poisson_rows, kLog};
    case Distribution::truncated_negative_binomial:
      return {truncated_negative_binomial_rows, kLog};
    case Distribution::truncated_nbinom1:
      return {truncated_nbinom1_rows, kLog};
    case Distribution::lognormal:
      return {lognormal_rows, kIdentity};
    case Distribution::beta:
      return {beta_rows, kCumulative};
    case Distribution::ordered_beta:
      return {ordered_beta_rows, kLogit};
    case Distribution::tweedie:
      return {tweedie_rows, kLog};
    case Distribution::student:
      return {student_rows, kReal};
    case Distribution::ordinal:
      return {ordinal_rows, kCumulative};
  }
  throw std::invalid_argument("family: unknown");
}

}  // namespace

RowModel::RowModel(RowModelRows rows)
    : y_(std::move(rows.y)),
      weights_(std::move(rows.weights)),
      top_(std::max(rows.top, y_.size() > 0 ? y_.maxCoeff() : 0.0)) {
  if (weights_.size() != y_.size()) throw std::invalid_argument("weights: not one value a row");
}

std::unique_ptr<RowModel> make_row_model(Distribution distribution, Link link, bool zero,
                                         RowModelRows rows) {
  const Kind kind = kind_of(distribution);
  if (std::find(kind.links.begin(), kind.links.end(), link) == kind.links.end())
    throw std::invalid_argument("link: not of this family");
  return kind.make(link, zero, std::move(rows));
}

Vector link_start(Distribution distribution, Link link, const Vector& y, const Vector& trials) {
  if (trials.size() != y.size()) throw std::invalid_argument("trials: not one value a row");
  return Vector::NullaryExpr(y.size(), [&](Index i) {
    return link_of(link, starting_mean(distribution, y(i), trials(i)));
  });
}

}  // namespace ranef
