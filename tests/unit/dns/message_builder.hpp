// Builds the DNS messages that the tests send, well-formed or not. It shares no code with src/dns, so that a mistake
// there does not hide itself here: what it writes is what RFC 1035 4 and RFC 6891 6.1.2 draw.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dotrelay::test {

using Octets = std::vector<std::uint8_t>;

namespace detail {

inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace detail

/// Octets from hexadecimal digits. White space is skipped; ";" begins a comment that ends with the line.
inline Octets hex(std::string_view text) {
  Octets octets;
  int pending = -1;
  bool comment = false;
  for (const char c : text) {
    if (c == '\n') comment = false;
    if (c == ';') comment = true;
    const int digit = detail::hex_digit(c);
    if (comment || digit < 0) continue;
    if (pending < 0) {
      pending = digit;
    } else {
      octets.push_back(static_cast<std::uint8_t>(pending * 16 + digit));
      pending = -1;
    }
  }
  assert(pending < 0);
  return octets;
}

inline std::string to_hex(std::span<const std::uint8_t> octets) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t octet : octets) {
    text += kDigits[octet >> 4];
    text += kDigits[octet & 15];
  }
  return text;
}

inline Octets operator+(Octets left, const Octets& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline Octets u8(unsigned value) { return {static_cast<std::uint8_t>(value)}; }
inline Octets u16(unsigned value) { return u8(value >> 8) + u8(value); }
inline Octets u32(unsigned value) { return u16(value >> 16) + u16(value & 0xffff); }
inline Octets characters(std::string_view text) { return {text.begin(), text.end()}; }

/// "www.example.com" on the wire, with the root label; "." is the root alone. No escapes.
inline Octets name(std::string_view text) {
  Octets octets;
  while (!text.empty() && text != ".") {
    const std::size_t dot = std::min(text.find('.'), text.size());
    octets = octets + u8(static_cast<unsigned>(dot)) + characters(text.substr(0, dot));
    text.remove_prefix(std::min(text.size(), dot + 1));
  }
  return octets + u8(0);
}

/// A name of exactly `size` octets on the wire (3 to 255, or 1 for the root), in labels of at most 63 letters.
inline Octets name_of_size(std::size_t size) {
  Octets octets;
  std::size_t left = size - 1;
  while (left > 0) {
    std::size_t label = std::min<std::size_t>(left - 1, 63);
    if (left - 1 - label == 1) --label;  // one octet alone would be no label
    octets = octets + u8(static_cast<unsigned>(label)) + Octets(label, 'n');
    left -= label + 1;
  }
  return octets + u8(0);
}

/// A compression pointer (RFC 1035 4.1.4).
inline Octets pointer(std::size_t offset) { return u16(0xc000U | static_cast<unsigned>(offset)); }

inline Octets record(const Octets& owner, unsigned type, const Octets& data, unsigned ttl = 300, unsigned klass = 1) {
  return owner + u16(type) + u16(klass) + u32(ttl) + u16(static_cast<unsigned>(data.size())) + data;
}

inline Octets edns_option(unsigned code, const Octets& data = {}) {
  return u16(code) + u16(static_cast<unsigned>(data.size())) + data;
}

struct OptFields {
  unsigned udp_size = 1232;
  bool dnssec_ok = false;
  unsigned extended_rcode = 0;
  unsigned version = 0;
};

inline Octets opt_record(const OptFields& fields = {}, const Octets& options = {}) {
  const unsigned ttl = (fields.extended_rcode << 24) | (fields.version << 16) | (fields.dnssec_ok ? 0x8000U : 0U);
  return record(u8(0), 41, options, ttl, fields.udp_size);
}

/// A message, section by section in the order of the calls. The counts follow what was added.
class MessageBuilder {
 public:
  explicit MessageBuilder(unsigned id = 0x1234, unsigned flags = 0x0100) : id_(id), flags_(flags) {}

  MessageBuilder& question(const Octets& qname, unsigned type = 1, unsigned klass = 1) {
    return add(0, qname + u16(type) + u16(klass));
  }
  MessageBuilder& question(std::string_view qname, unsigned type = 1, unsigned klass = 1) {
    return question(name(qname), type, klass);
  }
  MessageBuilder& answer(const Octets& record) { return add(1, record); }
  MessageBuilder& authority(const Octets& record) { return add(2, record); }
  MessageBuilder& additional(const Octets& record) { return add(3, record); }
  MessageBuilder& opt(const OptFields& fields = {}, const Octets& options = {}) {
    return additional(opt_record(fields, options));
  }

  /// Octets that no count speaks of.
  MessageBuilder& uncounted(const Octets& octets) {
    body_ = body_ + octets;
    return *this;
  }

  /// Lies about a count: 0 QDCOUNT, 1 ANCOUNT, 2 NSCOUNT, 3 ARCOUNT.
  MessageBuilder& claim(std::size_t section, unsigned count) {
    counts_[section] = count;
    return *this;
  }

  /// Where the next record will stand.
  [[nodiscard]] std::size_t size() const { return 12 + body_.size(); }

  [[nodiscard]] Octets build() const {
    Octets message = u16(id_) + u16(flags_);
    for (const unsigned count : counts_) message = message + u16(count);
    return message + body_;
  }
  operator Octets() const { return build(); }

 private:
  MessageBuilder& add(std::size_t section, const Octets& octets) {
    ++counts_[section];
    body_ = body_ + octets;
    return *this;
  }

  unsigned id_;
  unsigned flags_;
  std::array<unsigned, 4> counts_{};
  Octets body_;
};

}  // namespace dotrelay::test
