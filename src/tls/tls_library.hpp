// The TLS library as a whole.
#pragma once

namespace dotrelay {

/// Starts the TLS library for this process. Once, before any other use of TLS; false when the system gives no
/// randomness.
bool start_tls_library();

}  // namespace dotrelay
