#include "graft/api/finetune.h"

#include "graft/api/image_doubts.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/stop.h"
#include "graft/io/datasets/changed_files.h"
#include "graft/train/inputs/table.h"
#include "graft/train/inputs/text/text_input.h"
#include "graft/train/run_files.h"
#include "graft/train/tasks/table.h"

namespace graft {
namespace {

using Note = std::function<void(const std::string&)>;

void tell(const Note& note, const std::string& sentence) {
  if (note) note(sentence);
}

void tell_all(const Note& note, const std::vector<std::string>& sentences) {
  for (const std::string& sentence : sentences) tell(note, sentence);
}

io::OpenedData open_for(const std::string& path, const FinetuneOptions& options,
                        const train::Input& input) {
  io::DataOptions asked = options.data;
  asked.files = input.files();
  asked.answers = answers_for_task(options.task);
  io::OpenedData data = io::open_data(path, asked);
  for (auto* part : {&data.train, &data.val, &data.test})
    if (*part) {
      std::vector<io::ImageFacts> facts = train::census_of(input, **part);
      *part = io::keep_whole(*part, facts, options.broken_share, data.notes, data.files.many);
    }
  return data;
}

// Puts the network, and what is known of it, into the result.
using MakeModel = std::function<void(const io::OpenedData& data, Finetuned& made)>;

Finetuned finetune_made(const std::string& path, const FinetuneOptions& options,
                        const MakeModel& make_model) {
  train::FitOptions fit = options.fit;
  train::Recipe recipe = options.recipe;
  std::shared_ptr<train::Task> task;
  io::OpenedData data;
  Finetuned made;
  {
    const ScopedStop stop(fit.stop);
    const train::ChosenInput chosen = train::choose_input(options.input, path);
    if (!chosen.why.empty())
      tell(fit.on_note, "input: " + chosen.input->name() + ", " + chosen.why);
    data = open_for(path, options, *chosen.input);
    recipe.task = task_for_data(options.task, path, data);
    if (!data.answers_why.empty())
      tell(fit.on_note, "task: " + recipe.task + ", because " + data.answers_why);
    tell_all(fit.on_note, data.doubts);
    tell_all(fit.on_note, data.notes);
    recipe.validate();
    GRAFT_CHECK(recipe.precision == "fp32" || !chosen.input->files().is_texts(), "precision ",
                recipe.precision, ": networks of words train in fp32, which holds their numbers");
    task = train::make_task(recipe, data);
    make_model(data, made);
    made.model.card.description = options.description;
    chosen.input->enter(made.model.card.preprocess, options.input_settings);
    check_stop(fit.stop);
  }
  fit.head_is_trained = keep_or_give_head(made.model, *task, options.keep_head, recipe.seed);
  check_on_images(made.model, data.train, made.certificate);
  tell_all(fit.on_note, made.certificate.doubts);
  tell_all(fit.on_note, made.certificate.notes);
  tell(fit.on_note,
       str(fit.head_is_trained ? "the file's head is kept: " : "a new head: ", task->what()));
  const models::ModelCard& card = made.model.card;
  if (fit.resume && !file_system().exists(join_path(fit.folder, train::kCheckpointFile))) {
    fit.resume = false;  // so that a program may always ask for it
    tell(fit.on_note, fit.folder + ": no checkpoint yet, starting from the beginning");
  }
  fit.task = task;
  fit.identity = run_identity(card, data);
  fit.neutral_norms = card.neutral_norms;
  train::Recipe planned = recipe;
  fit.on_plan = [&](const train::StepPlan& step) {
    planned.step = step;
    if (options.fit.on_plan) options.fit.on_plan(step);
  };
  models::check_saves(*made.model.network, card);  // before, not after the training
  made.result = train::fit(*made.model.network, data, card.preprocess, recipe, fit);
  if (const std::string changed = io::changed_files(data); !changed.empty())
    tell(fit.on_note, changed);
  made.task = made.result.best ? task->chosen_by(*made.result.best) : nullptr;
  if (!made.task) made.task = task;
  if (made.result.best) tell_all(fit.on_note, task->choices(*made.result.best));
  made.model.card = trained_card(made.model, *made.task, data, planned);
  made.model.network->train(false);
  return made;
}

}  // namespace

io::AnswerKind answers_for_task(const std::string& name) {
  return name == "auto" ? io::AnswerKind::by_form : train::answers_for(name);
}

std::string task_for_data(const std::string& name, const std::string& path,
                          const io::OpenedData& data) {
  GRAFT_CHECK(data.answers != io::AnswerKind::one_label || data.classes.size() >= 2, path,
              ": has one class only (", join(data.classes), "); at least two are needed to train");
  return name == "auto" ? train::task_for(data.answers) : name;
}

Finetuned finetune(const std::string& weights, const std::string& path,
                   const FinetuneOptions& options) {
  return finetune_made(path, options, [&](const io::OpenedData&, Finetuned& made) {
    models::Imported imported = models::import_weights(weights, options.import);
    made.model = std::move(imported.model);
    made.certificate = std::move(imported.certificate);
  });
}

Finetuned finetune_texts(const TextNetworkOptions& network, const std::string& path,
                         const FinetuneOptions& options) {
  FinetuneOptions of_texts = options;
  of_texts.input = train::TextInput().name();
  return finetune_made(path, of_texts, [&](const io::OpenedData& data, Finetuned& made) {
    made.model = make_text_model(data, network, options.recipe.seed, options.fit.on_note);
    made.certificate.naming = models::kGraftNaming;  // nothing was imported
  });
}

}  // namespace graft
