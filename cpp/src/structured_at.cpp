#include "ranef/structured_at.hpp"

#include <mutex>
#include <stdexcept>

namespace ranef {
namespace {

void check(const Structured& model, ConstVectorRef psi) {
  if (psi.size() != model.n_parameters())
    throw std::invalid_argument("psi does not have an element for each parameter");
}

}  // namespace

StructuredPoint structured_point(Structured& model, ConstVectorRef psi, bool reml) {
  check(model, psi);
  const std::lock_guard<std::mutex> alone(model.in_use());
  model.evaluate(psi, reml);
  return model.point();
}

Vector structured_gradient(Structured& model, ConstVectorRef psi, bool reml) {
  check(model, psi);
  const std::lock_guard<std::mutex> alone(model.in_use());
  Vector g = Vector::Zero(model.n_parameters());
  if (model.evaluate(psi, reml)) model.gradient(g);
  return g;
}

Vector structured_correlation(Structured& model, ConstVectorRef psi) {
  check(model, psi);
  const std::lock_guard<std::mutex> alone(model.in_use());
  return model.natural_correlation(psi);
}

std::pair<Matrix, Matrix> structured_covariances(Structured& model, Index pattern,
                                                 ConstVectorRef psi) {
  check(model, psi);
  if (pattern < 0 || pattern >= model.n_patterns())
    throw std::invalid_argument("pattern: there is no such pattern");
  const std::lock_guard<std::mutex> alone(model.in_use());
  std::pair<Matrix, Matrix> out;
  model.covariances(pattern, psi, out.first, out.second);
  return out;
}

StructuredFit structured_fit_shared(Structured& model, const std::vector<Vector>& starts, bool reml,
                                    int max_steps, double tolerance) {
  for (const Vector& start : starts) check(model, start);
  const std::lock_guard<std::mutex> alone(model.in_use());
  return structured_fit(model, starts, reml, {max_steps, tolerance});
}

}  // namespace ranef
