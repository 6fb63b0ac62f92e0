// A walk over the records of a message in the order of its sections (RFC 1035 4.1), from the first one behind the
// questions. Owner names are read past and not expanded, RDATA is not looked into. Each step takes eleven octets at
// least, so the size of the message bounds the walk, whatever its counts claim.
#pragma once

#include "base/bytes.hpp"
#include "dns/constants.hpp"
#include "dns/message_view.hpp"
#include "dns/name.hpp"

#include <cstdint>

namespace dotrelay::dns {

enum class Section : std::uint8_t { answer, authority, additional };

/// A record as it stands in a message. It lives as long as the message.
struct Record {
  std::size_t offset = 0;  ///< of its owner name in the message
  bool at_root = false;    ///< the owner is a root label, not a pointer to one
  Section section = Section::answer;
  Bytes fixed;  ///< TYPE, CLASS, TTL and RDLENGTH
  Bytes data;   ///< RDATA

  [[nodiscard]] std::uint16_t type() const { return load_u16(&fixed[0]); }
};

class RecordWalk {
 public:
  /// TYPE, CLASS, TTL, RDLENGTH.
  static constexpr std::size_t kFixedSize = 10;

  /// `reader` stands behind the questions of the message that it reads from the first octet on, and outlives the walk.
  RecordWalk(ByteReader& reader, const Counts& counts)
      : reader_(reader),
        authority_(counts.answers),
        additional_(authority_ + counts.authorities),
        end_(additional_ + counts.additionals) {}

  /// Reads the next record. False when there is none, or when it is malformed or cut off: then failed() is true.
  [[gnu::always_inline]] inline bool next(Record& record) {
    if (at_ == end_ || failed_) return false;
    record.offset = reader_.offset();
    const bool named = skip_name(reader_);
    record.at_root = reader_.offset() == record.offset + 1;
    record.fixed = reader_.take(kFixedSize);
    record.data = record.fixed.empty() ? Bytes() : reader_.take(load_u16(&record.fixed[8]));
    if (!named || reader_.failed()) {
      failed_ = true;
      return false;
    }
    record.section = at_ < authority_ ? Section::answer : at_ < additional_ ? Section::authority : Section::additional;
    ++at_;
    return true;
  }

  [[nodiscard]] bool failed() const { return failed_; }

  /// Where the record behind the latest one begins, in the message.
  [[nodiscard]] std::size_t offset() const { return reader_.offset(); }

 private:
  ByteReader& reader_;
  std::uint32_t at_ = 0;      // of all records
  std::uint32_t authority_;   // the first of that section
  std::uint32_t additional_;  // the first of that section
  std::uint32_t end_;
  bool failed_ = false;
};

}  // namespace dotrelay::dns
