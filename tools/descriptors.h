// Standard input, output and error, which a caller may have closed.
#pragma once

namespace graft::tools {

// Fills the numbers 0 to 2 where nothing is open, so that no file which is opened later gets one of
// them and receives what is written to standard output. Reading and writing them fails as before.
// False when that cannot be done.
bool reserve_standard_descriptors();

}  // namespace graft::tools
