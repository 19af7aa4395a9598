#include "graft/kernels/cuda/cudnn/backend.h"

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "graft/core/base/log.h"
#include "graft/kernels/cuda/cudnn/conv_operations.h"

namespace graft::cudnn {
namespace {

using api::Kind;
using api::Name;
using gpu::Status;

struct EnginePlan final : Plan {
  explicit EnginePlan(Descriptor d) : descriptor(std::move(d)) {}
  Descriptor descriptor;
};

template <class Note>
bool has(const std::vector<Note>& notes, Note note) {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}

// Runs cuDNN calls; what it refuses becomes a Status.
template <class F>
Status guarded(F&& body) {
  try {
    body();
  } catch (const Refused& refused) {
    return {Status::Code::failed, refused.why};
  }
  return {};
}

class Backend final : public Dnn {
 public:
  // `handle` null: for a described device.
  Backend(const api::Library& library, api::Handle handle, Descriptor device)
      : library_(library),
        handle_(handle),
        device_(std::move(device)),
        device_text_(device_.get_text(Name::device_json)) {}
  ~Backend() override {
    if (handle_) library_.destroy(handle_);
  }

  int64_t version() const override { return static_cast<int64_t>(library_.version()); }
  const std::string& device_text() const override { return device_text_; }

  Status propose(const ConvGraph& graph, const PlanRules& rules, size_t most,
                 std::vector<std::unique_ptr<Plan>>& plans) override {
    std::string reasons;
    const Status status = guarded([&] {
      const OperationGraph operations = describe(library_, graph);
      for (const auto mode : {api::HeuristicsMode::a, api::HeuristicsMode::fallback}) {
        for (const Descriptor& config : configurations(operations.graph, mode)) {
          if (std::unique_ptr<Plan> plan = try_build(config, graph, rules, reasons))
            plans.push_back(std::move(plan));
          if (plans.size() == most) return;
        }
        if (!plans.empty()) return;  // the fallback list is for graphs that have nothing else
      }
      throw Refused{reasons.empty() ? "no engine takes it" : reasons};
    });
    if (!status.ok()) log("cudnn", graph.text(), ": ", status.message);
    for (const auto& plan : plans)
      log("cudnn", graph.text(), ": ", plan->tag, ", workspace ", plan->workspace);
    return status;
  }

  Status save(const Plan& plan, std::string& text) override {
    return guarded([&] {
      text = str(plan.engine, " ", plan.tag, " ", plan.compiled ? 1 : 0, "\n",
                 static_cast<const EnginePlan&>(plan).descriptor.get_text(Name::plan_json));
    });
  }

  Status restore(const std::string& text, std::unique_ptr<Plan>& plan) override {
    return restore_with(text, plan,
                        [&](Descriptor& made) { made.set(Name::plan_device, device_); });
  }

  Status make_for_handle(const Plan& plan, std::unique_ptr<Plan>& made) override {
    if (!handle_) return {Status::Code::failed, "the device is a description: it has no handle"};
    std::string text;
    const Status saved = save(plan, text);
    if (!saved.ok()) return saved;
    return restore_with(text, made,
                        [&](Descriptor& d) { d.set_handle(Name::plan_handle, handle_); });
  }

  Status execute(const Plan& plan, std::span<const Binding> bindings, void* workspace,
                 gpu::StreamId stream) override {
    if (!handle_)
      return {Status::Code::failed, "the device is a description: nothing can run on it"};
    if (stream != stream_ || !stream_set_) {
      if (const api::Result result = library_.set_stream(handle_, stream);
          result != api::Result::success)
        return failure(result);
      stream_ = stream;
      stream_set_ = true;
    }
    api::Result ran = api::Result::success;
    const Status packed = guarded([&] {
      std::vector<int64_t> ids;
      std::vector<void*> pointers;
      for (const Binding& binding : bindings)
        ids.push_back(id_of(binding.operand)), pointers.push_back(binding.data);
      Descriptor pack(library_, Kind::variant_pack);
      pack.set<int64_t>(Name::pack_ids, ids)
          .set<void*>(Name::pack_pointers, pointers)
          .set(Name::pack_workspace, workspace)
          .finalize();
      ran = library_.execute(handle_, static_cast<const EnginePlan&>(plan).descriptor.id(),
                             pack.id());
    });
    return !packed.ok() || ran == api::Result::success ? packed : failure(ran);
  }

 private:
  // A plan of its text, for what `say_where` sets: the described device or the handle.
  template <class F>
  Status restore_with(const std::string& text, std::unique_ptr<Plan>& plan, F&& say_where) const {
    return guarded([&] {
      const size_t line = text.find('\n');
      const size_t tag = text.find(' '), flag = text.rfind(' ', line);
      if (line == std::string::npos || tag >= flag || flag >= line) throw Refused{"a damaged plan"};
      Descriptor descriptor(library_, Kind::plan);
      say_where(descriptor);
      descriptor.set<char>(Name::plan_json, std::span<const char>(text).subspan(line + 1))
          .finalize();
      auto made = std::make_unique<EnginePlan>(std::move(descriptor));
      made->engine = std::atoll(text.c_str());
      made->tag = text.substr(tag + 1, flag - tag - 1);
      made->compiled = text[flag + 1] == '1';
      made->workspace = made->descriptor.get_int(Name::plan_workspace);
      plan = std::move(made);
    });
  }

  Status failure(api::Result result) const {
    return {Status::Code::failed, words_of(library_, result)};
  }

  // What cuDNN proposes, best first; none when it refuses the graph in this mode.
  std::vector<Descriptor> configurations(const Descriptor& graph, api::HeuristicsMode mode) const {
    std::vector<Descriptor> found;
    try {
      Descriptor heuristics(library_, Kind::heuristics);
      heuristics.set(Name::heuristics_graph, graph)
          .set(Name::heuristics_mode, mode)
          .set(Name::heuristics_device, device_)
          .finalize();
      constexpr int most = 32;
      for (int i = 0; i < most; ++i) found.emplace_back(library_, Kind::engine_config);
      heuristics.get_descriptors(Name::heuristics_results, found);
    } catch (const Refused& refused) {
      log("cudnn", "no proposals: ", refused.why);
      return {};
    }
    return found;
  }

  // Null with a word in `reasons` when the engine breaks a rule or does not build.
  std::unique_ptr<Plan> try_build(const Descriptor& config, const ConvGraph& graph,
                                  const PlanRules& rules, std::string& reasons) const {
    const auto refuse = [&](const std::string& tag, const std::string& why) {
      reasons += str(reasons.empty() ? "" : "; ", tag, " ", why);
      return nullptr;
    };
    Descriptor engine(library_, Kind::engine);
    config.get_descriptor(Name::config_engine, engine);
    const int64_t number = engine.get_int(Name::engine_index);
    const std::string tag = str("eng", number, knobs_of(config));
    const auto notes =
        engine.get<api::NumericalNote>(Name::engine_numerical_notes, api::Type::numerical_note, 16);
    const auto behavior =
        engine.get<api::BehaviorNote>(Name::engine_behavior_notes, api::Type::behavior_note, 16);
    using api::NumericalNote;
    if (rules.deterministic && has(notes, NumericalNote::nondeterministic))
      return refuse(tag, "is not deterministic");
    if (has(notes, NumericalNote::reduced_precision_reduction))
      return refuse(tag, "does not sum in float32");
    if (graph.type == DType::f32 && !rules.tf32 &&
        (has(notes, NumericalNote::down_convert_inputs) || has(notes, NumericalNote::tensor_core)))
      return refuse(tag, "rounds its inputs");
    try {
      Descriptor descriptor(library_, Kind::plan);
      descriptor.set(Name::plan_config, config).finalize();
      auto plan = std::make_unique<EnginePlan>(std::move(descriptor));
      plan->workspace = plan->descriptor.get_int(Name::plan_workspace);
      if (plan->workspace > rules.workspace_limit)
        return refuse(tag, str("wants ", plan->workspace, " bytes of workspace"));
      plan->engine = number;
      plan->tag = tag;
      plan->compiled = has(behavior, api::BehaviorNote::runtime_compilation);
      return plan;
    } catch (const Refused& refused) {
      return refuse(tag, refused.why);
    }
  }

  // "_k13=2_k24=5": the engine's settings, as cuDNN's own tools write them.
  std::string knobs_of(const Descriptor& config) const {
    std::vector<Descriptor> knobs;
    constexpr int most = 64;
    for (int i = 0; i < most; ++i) knobs.emplace_back(library_, Kind::knob_choice);
    config.get_descriptors(Name::config_knobs, knobs);
    std::string text;
    for (const Descriptor& knob : knobs)
      text += str("_k", knob.get<int32_t>(Name::knob_type, api::Type::knob_type, 1).at(0), "=",
                  knob.get_int(Name::knob_value));
    return text;
  }

  const api::Library& library_;
  api::Handle handle_;
  Descriptor device_;
  std::string device_text_;
  gpu::StreamId stream_ = nullptr;
  bool stream_set_ = false;
};

Status open(api::Handle handle, const api::Library& library,
            const std::function<void(Descriptor&)>& describe_device, std::unique_ptr<Dnn>& dnn) {
  const Status status = guarded([&] {
    Descriptor device(library, Kind::device);
    describe_device(device);
    device.finalize();
    dnn = std::make_unique<Backend>(library, handle, std::move(device));
  });
  if (!status.ok() && handle) library.destroy(handle);
  return status;
}

}  // namespace

Status open_cudnn(int device, std::unique_ptr<Dnn>& dnn) {
  std::string why;
  const api::Library* const library = api::library(why);
  if (!library) return {Status::Code::failed, why};
  api::Handle handle = nullptr;
  if (const api::Result result = library->create(&handle); result != api::Result::success)
    return {Status::Code::failed, words_of(*library, result)};
  return open(
      handle, *library,
      [&](Descriptor& d) { d.set(Name::device_id, static_cast<int32_t>(device)); }, dnn);
}

Status open_cudnn_described(const std::string& device_json, std::unique_ptr<Dnn>& dnn) {
  std::string why;
  const api::Library* const library = api::library(why);
  if (!library) return {Status::Code::failed, why};
  return open(
      nullptr, *library,
      [&](Descriptor& d) { d.set<char>(Name::device_json, std::span<const char>(device_json)); },
      dnn);
}

std::string describe_cudnn() {
  std::string why;
  const api::Library* const library = api::library(why);
  if (!library) return why;
  const auto version = static_cast<int64_t>(library->version());
  return str("cuDNN ", version / 10000, ".", version / 100 % 100, ".", version % 100);
}

}  // namespace graft::cudnn
