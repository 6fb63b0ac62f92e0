// See certificate_paths.hpp.
#include "tls/certificate_paths.hpp"

#include <algorithm>

namespace dotrelay {

CertificatePaths::CertificatePaths(const Certificate& sent, const std::vector<const Certificate*>& anchors)
    : anchors_(anchors) {
  steps_.push_back({&sent});
  for (const Certificate* next = sent.next; next != nullptr && sent_.size() + 1 < kMaxSent; next = next->next) {
    sent_.push_back(next);
  }
}

bool CertificatePaths::on_path(const Certificate* certificate) const {
  return std::ranges::find(steps_, certificate, &Step::certificate) != steps_.end();
}

CertificatePath CertificatePaths::path_to(const Certificate* anchor) const {
  CertificatePath path;
  for (const Step& step : steps_) path.push_back(step.certificate);
  path.push_back(anchor);
  return path;
}

std::optional<CertificatePath> CertificatePaths::next() {
  if (!itself_looked_at_) {
    itself_looked_at_ = true;
    const Certificate* const server = steps_.front().certificate;
    const auto is_it = [&](const Certificate* anchor) { return equal(octets_of(anchor->raw), octets_of(server->raw)); };
    if (is_self_issued(*server) && std::ranges::any_of(anchors_, is_it)) return CertificatePath{server};
  }
  while (!steps_.empty()) {
    Step& step = steps_.back();
    if (step.candidate == anchors_.size() + sent_.size() || comparisons_ == kMaxComparisons) {
      steps_.pop_back();
      continue;
    }
    const std::size_t index = step.candidate++;
    const bool is_anchor = index < anchors_.size();
    const Certificate* const candidate = is_anchor ? anchors_[index] : sent_[index - anchors_.size()];
    ++comparisons_;
    if (on_path(candidate) || !may_be_same_name(step.certificate->issuer, candidate->subject)) continue;
    if (is_anchor) return path_to(candidate);
    if (steps_.size() > kMaxIntermediates) {
      too_long_ = true;
    } else {
      steps_.push_back({candidate});
    }
  }
  return std::nullopt;
}

}  // namespace dotrelay
