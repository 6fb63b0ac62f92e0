// Prints a DNS message as a few lines of text, so that a test shows what went over the wire. It reads with code of its
// own and follows compression pointers, so a pointer that no longer points where it did shows as another name.
//
//   1234 response rd ra SERVFAIL
//   question www.Example.com. A IN
//   answer www.example.com. 300 A IN c0000201
//   opt 1232 do
//   option 15 0016...
#pragma once

#include "message_builder.hpp"

#include <algorithm>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>

namespace dotrelay::test {

class TranscriptPrinter {
 public:
  explicit TranscriptPrinter(std::span<const std::uint8_t> message) : message_(message) {}

  std::string print() {
    print_header();
    for (unsigned i = 0; i < counts_[0]; ++i) print_question();
    for (std::size_t section = 1; section < 4; ++section) {
      for (unsigned i = 0; i < counts_[section]; ++i) print_record(kSections[section]);
    }
    if (at_ != message_.size()) text_ += "and " + std::to_string(message_.size() - at_) + " octets more\n";
    return text_;
  }

 private:
  static constexpr std::array<const char*, 4> kSections = {"question", "answer", "authority", "additional"};

  unsigned octet_at(std::size_t offset) const {
    if (offset >= message_.size()) throw std::out_of_range("past the end");
    return message_[offset];
  }

  unsigned read(std::size_t octets) {
    unsigned value = 0;
    for (std::size_t i = 0; i < octets; ++i) value = (value << 8) | octet_at(at_++);
    return value;
  }

  Octets read_octets(std::size_t count) {
    Octets octets;
    for (std::size_t i = 0; i < count; ++i) octets.push_back(static_cast<std::uint8_t>(read(1)));
    return octets;
  }

  std::string read_name() {
    std::string text;
    std::size_t at = at_;
    std::size_t segment = at_;  // each jump goes further back, so it ends
    bool jumped = false;
    for (;;) {
      const unsigned length = octet_at(at);
      if (length >= 0xc0) {
        const std::size_t target = (length & 0x3f) * 256 + octet_at(at + 1);
        if (target >= segment) throw std::runtime_error("a pointer that does not point back");
        if (!jumped) at_ = at + 2;
        jumped = true;
        at = segment = target;
        continue;
      }
      ++at;
      for (unsigned i = 0; i < length; ++i) text += static_cast<char>(octet_at(at++));
      if (length == 0) break;
      text += '.';
    }
    if (!jumped) at_ = at;
    return text.empty() ? "." : text;
  }

  static std::string type_text(unsigned type) {
    switch (type) {
      case 1:
        return "A";
      case 2:
        return "NS";
      case 5:
        return "CNAME";
      case 6:
        return "SOA";
      case 12:
        return "PTR";
      case 15:
        return "MX";
      case 16:
        return "TXT";
      case 28:
        return "AAAA";
      case 33:
        return "SRV";
      case 35:
        return "NAPTR";
      case 250:
        return "TSIG";
      case 252:
        return "AXFR";
      default:
        return "TYPE" + std::to_string(type);
    }
  }

  static std::string klass_text(unsigned klass) {
    return klass == 1 ? "IN" : klass == 255 ? "ANY" : "CLASS" + std::to_string(klass);
  }

  void print_header() {
    char id[5];
    std::snprintf(id, sizeof id, "%04x", read(2) & 0xffff);
    const unsigned flags = read(2);
    text_ = std::string(id) + ((flags & 0x8000) != 0 ? " response" : " query");
    if (const unsigned opcode = (flags >> 11) & 15; opcode != 0) text_ += " opcode" + std::to_string(opcode);
    constexpr std::array<std::pair<unsigned, const char*>, 7> kFlags = {{{0x0400, " aa"},
                                                                         {0x0200, " tc"},
                                                                         {0x0100, " rd"},
                                                                         {0x0080, " ra"},
                                                                         {0x0040, " z"},
                                                                         {0x0020, " ad"},
                                                                         {0x0010, " cd"}}};
    for (const auto& [bit, word] : kFlags) {
      if ((flags & bit) != 0) text_ += word;
    }
    constexpr std::array<const char*, 6> kRcodes = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
    const unsigned rcode = flags & 15;
    text_ += " " + (rcode < kRcodes.size() ? kRcodes[rcode] : "RCODE" + std::to_string(rcode)) + "\n";
    for (unsigned& count : counts_) count = read(2);
  }

  void print_question() {
    const std::string qname = read_name();
    const unsigned type = read(2);
    text_ += "question " + qname + " " + type_text(type) + " " + klass_text(read(2)) + "\n";
  }

  void print_record(const char* section) {
    const std::string owner = read_name();
    const unsigned type = read(2);
    const unsigned klass = read(2);
    const unsigned ttl = read(4);
    const std::size_t size = read(2);
    const std::size_t end = at_ + size;
    if (type == 41) {
      print_opt(section, owner, klass, ttl, end);
      return;
    }
    const std::string data = read_data(type, end);
    text_ += std::string(section) + " " + owner + " " + std::to_string(ttl) + " " + type_text(type) + " " +
             klass_text(klass) + (data.empty() ? "" : " ") + data + "\n";
    if (at_ != end) throw std::runtime_error("RDATA of another length than RDLENGTH");
  }

  /// Octets as hexadecimal digits, and names where they may be compressed.
  std::string read_data(unsigned type, std::size_t end) {
    Octets before;
    unsigned names = 0;
    switch (type) {
      case 2:
      case 5:
      case 12:
        names = 1;
        break;
      case 6:
        names = 2;
        break;
      case 15:
        before = read_octets(2);
        names = 1;
        break;
      case 33:
        before = read_octets(6);
        names = 1;
        break;
      case 35:
        before = read_octets(4);
        for (int i = 0; i < 3; ++i) {
          const unsigned length = read(1);
          before = before + u8(length) + read_octets(length);
        }
        names = 1;
        break;
      default:
        break;
    }
    std::string text = to_hex(before);
    for (unsigned i = 0; i < names; ++i) text += (text.empty() ? "" : " ") + read_name();
    const std::string rest = to_hex(read_octets(end - std::min(at_, end)));
    return text + (text.empty() || rest.empty() ? "" : " ") + rest;
  }

  void print_opt(const std::string& section, const std::string& owner, unsigned udp_size, unsigned ttl,
                 std::size_t end) {
    if (section != "additional") text_ += section + " ";
    text_ += "opt " + (owner == "." ? "" : owner + " ") + std::to_string(udp_size);
    if ((ttl & 0x8000) != 0) text_ += " do";
    if ((ttl >> 24) != 0) text_ += " extended" + std::to_string(ttl >> 24);
    if (((ttl >> 16) & 0xff) != 0) text_ += " version" + std::to_string((ttl >> 16) & 0xff);
    if ((ttl & 0x7fff) != 0) text_ += " z" + std::to_string(ttl & 0x7fff);
    text_ += "\n";
    while (at_ < end) {
      const unsigned code = read(2);
      const Octets data = read_octets(read(2));
      const bool zeros = std::ranges::all_of(data, [](std::uint8_t octet) { return octet == 0; });
      text_ += code == 12 && zeros ? "padding " + std::to_string(data.size())
                                   : "option " + std::to_string(code) + (data.empty() ? "" : " ") + to_hex(data);
      text_ += "\n";
    }
    if (at_ != end) throw std::runtime_error("options past the end of OPT");
  }

  std::span<const std::uint8_t> message_;
  std::size_t at_ = 0;
  std::array<unsigned, 4> counts_{};
  std::string text_;
};

inline std::string transcript(std::span<const std::uint8_t> message) {
  try {
    return TranscriptPrinter(message).print();
  } catch (const std::exception& failure) {
    return "unreadable (" + std::string(failure.what()) + "): " + to_hex(message);
  }
}

}  // namespace dotrelay::test
