// finetune(): a weight file and a data set become a model, in one call.
#pragma once
#include <memory>
#include <string>

#include "graft/api/text_model.h"
#include "graft/api/trained_model.h"
#include "graft/train/fit.h"

namespace graft {

struct FinetuneOptions {
  std::string task = "auto";  // what the data's form suggests, or a name of train::task_names()
  // What the samples are: what the data's files say, or a name of train::input_names(); and how
  // they are read, where the input has settings ("rate=8000,mels=64").
  std::string input = "auto", input_settings{};
  train::Recipe recipe = train::default_recipe("backbone");  // but for its task
  models::ImportOptions import{};                            // of the weights
  io::DataOptions data{};                                    // but for its answers and files
  bool keep_head = true;  // the file's own head, where its labels are the data's; else a new one
  double broken_share = io::kToleratedBrokenShare;  // of a part's images that may be left out
  // Files, whom to tell, when to stop. Its task, identity, neutral_norms and head_is_trained are
  // finetune()'s to say.
  train::FitOptions fit{};
  models::Description description{};  // into the model's card; a source's own is of other data
};

struct Finetuned {
  models::Model model{};  // with a card that says where it came from; save_model() writes it
  std::shared_ptr<const train::Task> task{};  // with what was chosen on the validation part
  // interrupted: fit.stop was set, the model holds the last step's values, and with fit.folder the
  // checkpoint stays, from which fit.resume goes on.
  train::FitResult result{};
  models::Certificate certificate{};  // what the import understood
};

// "auto" as the task that the data's form suggests, another name as it is. bad_input naming `path`
// for data of one class only.
GRAFT_API std::string task_for_data(const std::string& name, const std::string& path,
                                    const io::OpenedData& data);
// What a data set is opened for, before its form is known.
GRAFT_API io::AnswerKind answers_for_task(const std::string& name);

// fit.resume without a checkpoint in fit.folder starts from the beginning. What was guessed or left
// out goes to fit.on_note. bad_input for weights, data and recipes that do
// not fit; Stopped when fit.stop is set before training begins.
GRAFT_API Finetuned finetune(const std::string& weights, const std::string& data,
                             const FinetuneOptions& options = {});
// The same with a network of words that is made for the data, which are texts whatever
// options.input is; default_text_recipe() is the recipe for it.
GRAFT_API Finetuned finetune_texts(const TextNetworkOptions& network, const std::string& data,
                                   const FinetuneOptions& options);

}  // namespace graft
