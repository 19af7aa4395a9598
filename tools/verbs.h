// The verbs of the graft command. Each adds its subcommand and flags; once chosen it sets what
// main() then runs.
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace graft::tools {

constexpr int exit_interrupted = 130;

using Action = std::function<int()>;  // returns the exit code; throws graft::Error

void add_finetune(CLI::App& app, Action& action);
void add_lr(CLI::App& app, Action& action);
void add_pretrain(CLI::App& app, Action& action);
void add_predict(CLI::App& app, Action& action);
void add_track(CLI::App& app, Action& action);
void add_evaluate(CLI::App& app, Action& action);
void add_explain(CLI::App& app, Action& action);
void add_data(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_convert(CLI::App& app, Action& action);
void add_verify(CLI::App& app, Action& action);
void add_features(CLI::App& app, Action& action);
void add_advise(CLI::App& app, Action& action);
void add_average(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_run(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_doctor(CLI::App& app, Action& action);

}  // namespace graft::tools
