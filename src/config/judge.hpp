// What keys of different tables ask of each other. What the keys of one table do is judged beside its rows.
#pragma once

#include "config/tables.hpp"

#include <string>
#include <vector>

namespace dotrelay {

/// After all tables were read.
MaybeProblem judge(const Config& config);

/// What a configuration that passed may not mean: for warnings.
std::vector<Problem> doubts_about(const Config& config);

/// Of the table that it is written as: "upstream", "local_upstream".
std::string table_name(const UpstreamConfig& upstream);

/// What is wrong with an upstream address that the relay itself serves.
std::string own_upstream(const Endpoint& endpoint);

}  // namespace dotrelay
