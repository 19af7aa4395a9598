// Flags by which a user says what a weight file does not: which of its networks and outputs is
// meant, how images enter it, what its classes are called.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "graft/models/import.h"

namespace CLI {
class App;
}

namespace graft::tools {

struct SourceFlags {
  std::string prefix{}, output{};
  std::vector<double> mean{}, deviation{};
  std::optional<std::string> scale{};
  std::string channel_order{}, labels{};

  models::ImportOptions options(models::ImportOptions rest = {}) const;
};

enum class ClassNames : bool { from_data, asked_for };

// --prefix, --output, --mean, --std, --scale, --channel-order; and --labels where the classes are
// not those of the data.
void add_source_flags(CLI::App& verb, SourceFlags& flags, ClassNames names);

// The user's words into the card, and what they are into the certificate. bad_input for numbers or
// labels that do not fit the network.
void apply_source_flags(const SourceFlags& flags, models::Imported& imported);

}  // namespace graft::tools
