// What finetune and lr share: the flags of a pretrained network, and the network that they ask for.
#pragma once
#include <optional>
#include <string>

#include "graft/tools/source_flags.h"
#include "graft/tools/training.h"

namespace graft::tools {

struct FinetuneFlags {
  TrainingFlags training;
  SourceFlags source;
  std::string weights, arch, cut = "auto", bn = "auto", channels = "repeat", head = "auto";
  std::optional<std::string> freeze{};
};

// Adds the flags above, but for those of a run (training.h), to a verb.
void add_finetune_flags(CLI::App& verb, FinetuneFlags& flags);

train::Recipe recipe_of(const FinetuneFlags& flags);
// The imported network with its head for the task; says its certificate.
Network make_finetuned(const FinetuneFlags& flags, const TrainingData& data, train::Task& task);

}  // namespace graft::tools
