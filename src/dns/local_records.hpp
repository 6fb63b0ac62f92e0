// The records that the relay itself answers with for the names of local zones.
#pragma once

#include "base/bytes.hpp"
#include "dns/message_view.hpp"
#include "dns/special_names.hpp"

namespace dotrelay::dns {

/// How many there are in each section of a message with one question, without an OPT.
Counts count_local_records(const LocalAnswer& answer);

/// Writes them behind the question, which is the message's first part after its header.
void write_local_records(ByteWriter& writer, const Question& question, const LocalAnswer& answer);

}  // namespace dotrelay::dns
