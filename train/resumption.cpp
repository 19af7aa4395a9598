#include "graft/train/resumption.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "graft/core/base/error.h"
#include "graft/io/json.h"

namespace graft::train {
namespace {

std::string value_of(const nlohmann::json& recipe, const std::string& field) {
  const auto found = recipe.find(field);
  return found == recipe.end() ? "not said" : found->dump();
}

}  // namespace

std::string check_same_recipe(const std::string& path, const std::string& checkpoint,
                              const std::string& recipe, bool more_epochs) {
  if (checkpoint == recipe) return "";
  io::check_json(checkpoint, path + ": its recipe");
  const auto before = nlohmann::json::parse(checkpoint, nullptr, false);
  const auto now = nlohmann::json::parse(recipe);
  GRAFT_CHECK(before.is_object(), path, ": its recipe is damaged");
  nlohmann::json all = before;
  all.update(now);
  std::vector<std::string> differences;
  for (const auto& [field, ignored] : all.items()) {
    if (value_of(before, field) == value_of(now, field) || (more_epochs && field == "epochs"))
      continue;
    differences.push_back(
        str(field, " ", value_of(before, field), " then, ", value_of(now, field), " now"));
  }
  if (differences.empty() && value_of(before, "epochs") == value_of(now, "epochs")) return "";
  GRAFT_CHECK(differences.empty(), path, ": is of another recipe: ", join(differences, "; "),
              " (the same flags go on; --overwrite starts again)");
  return str("the run was of ", value_of(before, "epochs"), " epochs and goes on to ",
             value_of(now, "epochs"),
             ": from here the learning rate is the one of such a run, so that the result is not "
             "that of a run of so many epochs from the beginning");
}

}  // namespace graft::train
