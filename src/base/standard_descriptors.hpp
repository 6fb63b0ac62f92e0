// Descriptors 0, 1 and 2 as each process of the relay needs them. To be called at the very beginning of main, before
// anything else opens a descriptor.
#pragma once

namespace dotrelay {

/// Opens those of 0, 1 and 2 that are closed: on /dev/null, or where that is missing on something that gives end of
/// file and takes nothing. Otherwise the next descriptor that is opened would get the number, and log lines would go
/// into it. False when no descriptor can be had.
bool fill_standard_descriptors();

/// Makes a pipe or terminal as standard error an open file description of this process's own, which does not wait for
/// its reader. The inherited one is shared with other processes, which may rely on its flags. Everything that writes to
/// descriptor 2 profits: this process's log, what its libraries write before they abort, and the programs that it
/// executes. Changes nothing where the system does not allow it.
void own_standard_error();

}  // namespace dotrelay
