// The value-or-error type of the whole program. Expected failures are values that the caller handles; a bug is an
// assert. No exceptions cross a function boundary of ours.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace dotrelay {

/// One sentence for a person: what failed, on what, and why. No trailing full stop or newline.
struct Error {
  std::string message;
};

/// Either a T or an Error. Reading the wrong one is a bug (assert).
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}

  explicit operator bool() const { return std::holds_alternative<T>(state_); }

  T& operator*() {
    assert(*this);
    return *std::get_if<T>(&state_);
  }
  const T& operator*() const {
    assert(*this);
    return *std::get_if<T>(&state_);
  }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }

  [[nodiscard]] const Error& error() const {
    assert(!*this);
    return *std::get_if<Error>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

/// The result of something that yields nothing but can fail.
using Status = Result<std::monostate>;

inline Status ok() { return std::monostate{}; }

}  // namespace dotrelay
