// Names out of files, made fit to be shown: the one function at every border to a terminal, a log
// or a page.
#pragma once
#include <string>
#include <string_view>

#include "graft/core/base/export.h"

namespace graft {

// Control characters and bytes that are no UTF-8 become \x1b, \xff; Unicode's control characters,
// line separators and marks that turn the direction of text become \u009b, \u202e (as in JSON). The
// characters of `kept` stay: "\n" of text that has lines of its own. What is printable already is
// not changed, so the result is its own printable form, and texts that differ stay different unless
// one holds such an escape itself.
GRAFT_API std::string printable(std::string_view text, std::string_view kept = "");

GRAFT_API bool is_utf8(std::string_view text);

}  // namespace graft
