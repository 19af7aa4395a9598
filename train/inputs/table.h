// The inputs that graft knows by name.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/train/inputs/input.h"

namespace graft::train {

GRAFT_API std::vector<std::string> input_names();
GRAFT_API std::shared_ptr<const Input> input_named(const std::string& name);
// That of a model's card: what its samples are. bad_input for one that this graft does not know, or
// whose steps are damaged.
GRAFT_API std::shared_ptr<const Input> input_of(const io::Preprocess& preprocess);

struct ChosenInput {
  std::shared_ptr<const Input> input{};
  std::string why{};  // "because ..." or "as ..."; "": images, as by default
};
// `name` as it is, or for "auto" the input whose files are most of a folder's, or are named in a
// table; images where there are none of any other.
GRAFT_API ChosenInput choose_input(const std::string& name, const std::string& data_path);
// That of a model's card, of which `name` may only be another word for "auto".
GRAFT_API ChosenInput input_of_model(const io::Preprocess& preprocess, const std::string& name);

}  // namespace graft::train
