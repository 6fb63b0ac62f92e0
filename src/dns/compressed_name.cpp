// See compressed_name.hpp.
#include "dns/compressed_name.hpp"

#include "dns/name.hpp"

#include <optional>

namespace dotrelay::dns {
namespace {

class LabelReader {
 public:
  LabelReader(Bytes message, std::size_t at) : message_(message), at_(at), segment_(at) {}

  /// Stands at the next label behind all pointers. False when there is none: the name is malformed.
  bool find_label() {
    for (; ++steps_ <= kMaxSteps && at_ < message_.size(); at_ = segment_ = target_) {
      const std::size_t length = message_[at_];
      if (length <= kMaxLabel) return message_.size() - at_ > length;
      if (length < 0xc0 || message_.size() - at_ < 2) return false;
      target_ = load_u16(&message_[at_]) & 0x3fffU;
      if (target_ >= segment_) return false;
    }
    return false;
  }

  /// Where the label stands that find_label() found.
  [[nodiscard]] std::size_t at() const { return at_; }

  /// Takes that label; empty for the root.
  Bytes take_label() {
    const Bytes label = message_.subspan(at_ + 1, message_[at_]);
    at_ += 1 + label.size();
    return label;
  }

 private:
  Bytes message_;
  std::size_t at_;
  std::size_t segment_;  ///< where the labels began that are read without a pointer between them
  std::size_t target_ = 0;
  int steps_ = 0;
};

}  // namespace

bool same_name_in(Bytes message, std::size_t left, std::size_t right) {
  LabelReader left_labels(message, left);
  LabelReader right_labels(message, right);
  while (left_labels.find_label() && right_labels.find_label()) {
    // Mostly one is a pointer to the other.
    if (left_labels.at() == right_labels.at()) return true;
    const Bytes label = left_labels.take_label();
    if (!same_name(label, right_labels.take_label())) return false;
    if (label.empty()) return true;
  }
  return false;
}

}  // namespace dotrelay::dns
