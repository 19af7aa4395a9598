// The C API's training.
#include <atomic>
#include <optional>

#include "graft/api/finetune.h"
#include "graft/capi/guard.h"
#include "graft/capi/model.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/stop.h"

namespace capi = graft::capi;

struct graft_stop {
  std::atomic<bool> is_asked{false};
};

namespace graft::capi {
namespace {

void put_recipe(const graft_finetune_options& options, train::Recipe& recipe) {
  recipe = train::default_recipe(text_or(options.freeze, "backbone"));
  recipe.seed = options.seed;
  if (options.epochs < 0 || options.batch < 0 || options.learning_rate < 0)
    fail(ErrorCode::usage, "options: epochs ", options.epochs, ", batch ", options.batch,
         ", learning_rate ", options.learning_rate, ": none may be below 0 (0: the recipe's)");
  if (options.epochs > 0) recipe.epochs = options.epochs;
  if (options.batch > 0) recipe.batch = options.batch;
  if (options.learning_rate != 0) recipe.lr = options.learning_rate;
  recipe.warmup_epochs = std::min(recipe.warmup_epochs, recipe.epochs - 1);
}

// Tells the caller how far it is; its wish to stop becomes the flag.
void report(const graft_finetune_options& options, const train::Progress& p, graft_stop& stop) {
  graft_progress progress{};
  progress.size = sizeof progress;
  progress.phase = p.phase;
  progress.epoch = p.epoch;
  progress.epochs = p.epochs;
  progress.done = p.done;
  progress.total = p.total;
  progress.loss = p.loss;
  progress.score_name = p.score.name.c_str();
  progress.score = p.score.value;
  if (options.on_progress(options.user, &progress) != 0) stop.is_asked = true;
}

FinetuneOptions finetune_options(const graft_finetune_options& options, graft_stop& stop) {
  FinetuneOptions asked;
  asked.task = text_or(options.task, "auto");
  put_recipe(options, asked.recipe);
  asked.data.val_path = text_or(options.validation, "");
  asked.data.seed = options.seed;
  asked.keep_head = options.new_head == 0;
  asked.fit.folder = text_or(options.folder, "");
  asked.fit.resume = options.resume != 0;
  asked.fit.more_epochs = options.epochs > 0;
  if (asked.fit.resume && asked.fit.folder.empty())
    fail(ErrorCode::usage, "options->resume is set without a folder to resume from");
  asked.fit.stop = &stop.is_asked;
  if (options.on_progress)
    asked.fit.on_progress = [&options, &stop](const train::Progress& p) {
      report(options, p, stop);
    };
  if (options.on_note)
    asked.fit.on_note = [&options](const std::string& note) {
      options.on_note(options.user, note.c_str());
    };
  return asked;
}

graft_finetune_result result_of(const Finetuned& made) {
  graft_finetune_result result{};
  result.epochs = std::ssize(made.result.history);
  result.best_epoch = made.result.best_epoch;
  result.score = made.result.best_score;
  result.loss = made.result.best_loss;
  const std::string name = made.task->scores()[0].name;
  name.copy(result.score_name, sizeof result.score_name - 1);
  return result;
}

}  // namespace
}  // namespace graft::capi

graft_status graft_stop_new(graft_stop** stop) {
  return capi::guarded("graft_stop_new", [&] {
    capi::check_not_null(stop, "stop");
    *stop = new graft_stop;
  });
}
void graft_stop_ask(graft_stop* stop) {
  if (stop) stop->is_asked = true;
}
void graft_stop_free(graft_stop* stop) { delete stop; }

graft_status graft_finetune(const char* weights, const char* data,
                            const graft_finetune_options* options, graft_model** model,
                            graft_finetune_result* result) {
  return capi::guarded("graft_finetune", [&] {
    capi::check_not_null(weights, "weights");
    capi::check_not_null(data, "data");
    capi::check_not_null(model, "model");
    if (result) capi::check_struct(result, "result");  // before the work
    const graft_finetune_options read = capi::read_optional(options, "options");
    graft_stop own;
    const graft::FinetuneOptions asked = capi::finetune_options(read, read.stop ? *read.stop : own);
    if (read.threads < 0 || read.threads > 1024)
      graft::fail(graft::ErrorCode::usage, "options->threads is ", read.threads,
                  "; 0 to 1024 may be asked for");
    std::optional<graft::ExecContext> context;
    std::optional<graft::ScopedExecContext> scope;
    if (read.threads > 0) scope.emplace(context.emplace(read.threads));
    graft::Finetuned made = graft::finetune(weights, data, asked);
    if (made.result.interrupted) throw graft::Stopped();
    const graft_finetune_result known = capi::result_of(made);
    graft::models::Imported trained{.model = std::move(made.model), .certificate = {}};
    trained.certificate.naming = graft::models::kGraftNaming;
    *model = new graft_model(graft::Predictor(std::move(trained)));
    if (result) capi::write_struct(result, known, "result");
  });
}
