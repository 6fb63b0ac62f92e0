// Whether to read a TCP client when it is accepted. Under load most have asked by then; else the read costs a system
// call for nothing, so after one in vain the next few are left to the loop.
#pragma once

#include <cstdint>

namespace dotrelay {

class EarlyRead {
 public:
  /// Clients that are left to the loop after a read in vain.
  static constexpr std::uint8_t kLeftToLoop = 15;

  /// To be asked once for each client.
  bool is_worthwhile() { return left_ == 0 || --left_ == 0; }
  /// A client had sent nothing.
  void in_vain() { left_ = kLeftToLoop + 1; }

 private:
  std::uint8_t left_ = 0;
};

}  // namespace dotrelay
