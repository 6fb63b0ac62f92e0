// What reading and writing DNS messages costs: src/dns alone.
#include "base/byte_queue.hpp"
#include "dns/client_response.hpp"
#include "dns/framing.hpp"
#include "dns/message_view.hpp"
#include "dns/name.hpp"
#include "dns/special_names.hpp"
#include "dns/upstream_query.hpp"
#include "measuring.hpp"
#include "samples.hpp"

#include <array>
#include <vector>

namespace dotrelay::bench {
namespace {

void parse_query(benchmark::State& state) {
  for (const Sample& sample : few_samples()) {
    const dns::QueryVerdict verdict = dns::parse_query(sample.query);
    check(verdict.kind == dns::QueryVerdict::Kind::relay && verdict.query.opt, "the sample is a query with an OPT");
  }
  Ring ring(few_samples());
  for (auto _ : state) benchmark::DoNotOptimize(dns::parse_query(ring.next().query));
  count_items(state);
}

void parse_response(benchmark::State& state, Octets Sample::*answer) {
  for (const Sample& sample : few_samples()) {
    const auto response = dns::parse_response(sample.*answer);
    check(response && response->question && response->opt && response->size == (sample.*answer).size(),
          "the sample is an answer with an OPT");
  }
  Ring ring(few_samples());
  for (auto _ : state) benchmark::DoNotOptimize(dns::parse_response(ring.next().*answer));
  count_items(state);
}

/// What accept() keeps of each query for its answer.
void asker(benchmark::State& state) {
  std::vector<dns::QueryView> queries;
  for (const Sample& sample : few_samples()) queries.push_back(dns::parse_query(sample.query).query);
  check(dns::Asker(queries[0], {}).edns, "a query with an OPT uses EDNS");
  Ring ring(std::span<const dns::QueryView>{queries});
  for (auto _ : state) benchmark::DoNotOptimize(dns::Asker(ring.next(), {}));
  count_items(state);
}

void write_upstream_query(benchmark::State& state) {
  std::vector<dns::UpstreamQuery> queries;
  std::array<std::uint8_t, dns::kMaxUpstreamQuery> buffer;
  for (const Sample& sample : few_samples()) {
    queries.push_back({.id = 1, .flags = 0x0100, .question = {sample.name, 1, 1}, .dnssec_ok = false, .options = {}});
    check(dns::write_upstream_query(buffer, queries.back()) == kUpstreamQuery, "a query is padded to one block");
  }
  Ring ring(std::span<const dns::UpstreamQuery>{queries});
  for (auto _ : state) {
    benchmark::DoNotOptimize(dns::write_upstream_query(buffer, ring.next()));
    benchmark::DoNotOptimize(buffer.data());
    benchmark::ClobberMemory();
  }
  count_items(state);
}

void write_relayed_response(benchmark::State& state, Octets Sample::*answer) {
  struct Relayed {
    Bytes message;
    dns::ResponseView response;
    dns::Asker asker;
    Bytes name;
  };
  std::vector<Relayed> relayed;
  std::vector<std::uint8_t> buffer(dns::kResponseBuffer);
  for (const Sample& sample : few_samples()) {
    relayed.push_back({sample.*answer, *dns::parse_response(sample.*answer),
                       dns::Asker(dns::parse_query(sample.query).query, {}), sample.name});
    const Relayed& last = relayed.back();
    const Bytes written = dns::write_relayed_response(buffer, last.message, last.response, last.asker, last.name);
    const auto response = dns::parse_response(written);
    check(response && !response->header.has(dns::flag::tc) && response->opt && response->opt->options.empty(),
          "an answer is relayed whole, with an OPT of its own");
  }
  Ring ring(std::span<const Relayed>{relayed});
  for (auto _ : state) {
    const Relayed& next = ring.next();
    benchmark::DoNotOptimize(dns::write_relayed_response(buffer, next.message, next.response, next.asker, next.name));
    benchmark::ClobberMemory();
  }
  count_items(state);
}

/// As DotConnection::next_message() reads a run of answers, without its queue.
void first_frame(benchmark::State& state) {
  const Octets run = frames(kBurst, kPaddedAnswer);
  for (auto _ : state) {
    Bytes rest(run);
    benchmark::DoNotOptimize(rest);
    std::size_t count = 0;
    while (const auto message = dns::first_frame(rest)) {
      benchmark::DoNotOptimize(message->data());
      rest = rest.subspan(dns::kFramePrefix + message->size());
      ++count;
    }
    if (count != kBurst) check(false, "a run of frames is read to its end");
  }
  count_items(state, kBurst);
}

/// As DotConnection::send() collects a run of queries.
void frame_prefix(benchmark::State& state) {
  const Octets run = frames(kBurst, kUpstreamQuery);
  const Bytes message = Bytes(run).subspan(dns::kFramePrefix, kUpstreamQuery);
  ByteQueue queue;
  for (auto _ : state) {
    queue.clear();
    for (std::size_t i = 0; i < kBurst; ++i) {
      Bytes next = message;
      benchmark::DoNotOptimize(next);
      queue.append(dns::frame_prefix(next.size()));
      queue.append(next);
    }
    benchmark::DoNotOptimize(queue.bytes().data());
  }
  check(queue.size() == run.size() && dns::first_frame(queue.bytes())->size() == kUpstreamQuery,
        "what was framed is read again");
  count_items(state, kBurst);
}

void spelling_of(benchmark::State& state) {
  Ring ring(few_samples());
  for (auto _ : state) benchmark::DoNotOptimize(dns::Spelling(ring.next().name));
  count_items(state);
}

void spelling_apply(benchmark::State& state) {
  struct Spelled {
    Octets name;
    dns::Spelling spelling;
  };
  std::vector<Spelled> names;
  for (const Sample& sample : few_samples()) {
    names.push_back({sample.name, dns::Spelling(sample.name)});
    std::ranges::transform(sample.name, names.back().name.begin(), dns::fold_case);
    names.back().spelling.apply(names.back().name);
    check(names.back().name == sample.name, "a spelling gives a name its capitals back");
  }
  Ring ring(std::span<Spelled>{names});
  for (auto _ : state) {
    Spelled& next = ring.next();
    next.spelling.apply(next.name);
    benchmark::ClobberMemory();
  }
  count_items(state);
}

BENCHMARK(parse_query)->Name("dns/parse_query");
BENCHMARK(asker)->Name("dns/asker");
BENCHMARK(write_upstream_query)->Name("dns/write_upstream_query");
BENCHMARK_CAPTURE(parse_response, padded, &Sample::answer)->Name("dns/parse_response/468_octets_1_record");
BENCHMARK_CAPTURE(parse_response, large, &Sample::large_answer)->Name("dns/parse_response/1200_octets_70_records");
BENCHMARK_CAPTURE(write_relayed_response, padded, &Sample::answer)->Name("dns/write_relayed_response/468_octets");
BENCHMARK_CAPTURE(write_relayed_response, large, &Sample::large_answer)->Name("dns/write_relayed_response/1200_octets");
BENCHMARK(first_frame)->Name("dns/first_frame_32");
BENCHMARK(frame_prefix)->Name("dns/frame_prefix_append_32");
BENCHMARK(spelling_of)->Name("dns/spelling_of_name");
BENCHMARK(spelling_apply)->Name("dns/spelling_apply");

}  // namespace
}  // namespace dotrelay::bench
