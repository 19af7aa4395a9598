// The tape: node attachment, recording switches and the backward walk.
#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/runtime/exec_context.h"

namespace graft {
namespace {

thread_local bool t_grad_enabled = true;
thread_local Trace* t_trace = nullptr;

std::shared_ptr<GradMeta> ensure_meta(const Tensor& tensor) {
  if (!tensor.autograd_meta()) tensor.set_autograd_meta(std::make_shared<GradMeta>());
  return std::static_pointer_cast<GradMeta>(tensor.autograd_meta());
}

// a + b in a's layout; a is reused when nobody else can see it.
Tensor sum_of(const Tensor& a, const Tensor& b) {
  GRAFT_CHECK(a.shape() == b.shape() && a.dtype() == b.dtype(), "backward: gradients of shapes ", a.shape(), " and ",
              b.shape(), " meet");
  const Tensor other = b.to(a.format());
  Tensor result = Tensor::empty_like(a);
  visit_floating(a.dtype(), "backward", [&](auto zero) {
    using T = decltype(zero);
    const T *x = a.data<T>(), *y = other.data<T>();
    T* out = result.mutable_data<T>();
    constexpr int64_t chunk = 1 << 15;
    current_context().parallel_for(ceil_div(a.numel(), chunk), [&](int64_t job) {
      for (int64_t i = job * chunk; i < std::min(a.numel(), (job + 1) * chunk); ++i) {
        if constexpr (sizeof(T) == 2) out[i] = T(static_cast<float>(x[i]) + static_cast<float>(y[i]));
        else out[i] = x[i] + y[i];
      }
    });
  });
  return result;
}

void accumulate(Tensor& into, const Tensor& grad) { into = into.defined() ? sum_of(into, grad) : grad; }

// Nodes reachable from `root`, every node before those it feeds its gradient to.
std::vector<Node*> topological_order(Node* root) {
  std::vector<Node*> order;
  std::unordered_set<Node*> visited{root};
  std::vector<std::pair<Node*, size_t>> stack{{root, 0}};
  while (!stack.empty()) {
    auto& [node, next] = stack.back();
    if (next == node->edges().size()) {
      order.push_back(node);
      stack.pop_back();
      continue;
    }
    const Edge& edge = node->edges()[next++];
    if (edge.node && visited.insert(edge.node.get()).second) stack.emplace_back(edge.node.get(), 0);
  }
  std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace

Node::~Node() {
  std::vector<std::shared_ptr<Node>> dropped;
  const auto take = [&dropped](std::vector<Edge>& edges) {
    for (Edge& edge : edges)
      if (edge.node) dropped.push_back(std::move(edge.node));
  };
  take(edges_);
  while (!dropped.empty()) {
    const std::shared_ptr<Node> node = std::move(dropped.back());
    dropped.pop_back();
    if (node.use_count() == 1) take(node->edges_);
  }
}

SavedTensor::SavedTensor(const Tensor& tensor) {
  if (!tensor.defined()) return;
  tensor_ = tensor.detach();
  version_ = tensor.version();
  saved_ = true;
}

const Tensor& SavedTensor::get(const char* op) const {
  GRAFT_CHECK(!saved_ || tensor_.defined(), op, ": backward went through this graph already");
  GRAFT_CHECK(!tensor_.defined() || tensor_.version() == version_, op,
              ": a tensor needed for backward was overwritten after the forward pass");
  return tensor_;
}

void set_requires_grad(const Tensor& tensor, bool requires_grad) {
  if (!requires_grad && !tensor.autograd_meta()) return;
  GRAFT_CHECK(!requires_grad || is_floating(tensor.dtype()), "only floating-point tensors have gradients, got ",
              name_of(tensor.dtype()));
  const auto meta = ensure_meta(tensor);
  GRAFT_CHECK(!meta->node, "requires_grad can be set on leaves only");
  meta->requires_grad = requires_grad;
}

bool requires_grad(const Tensor& tensor) {
  const GradMeta* meta = grad_meta(tensor);
  return meta && meta->requires_grad;
}

Tensor grad_of(const Tensor& leaf) {
  const GradMeta* meta = grad_meta(leaf);
  return meta ? meta->grad : Tensor();
}

void set_grad(const Tensor& leaf, Tensor grad) {
  if (!grad.defined() && !leaf.autograd_meta()) return;
  ensure_meta(leaf)->grad = std::move(grad);
}

bool grad_enabled() { return t_grad_enabled; }
NoGradGuard::NoGradGuard() : previous_(t_grad_enabled) { t_grad_enabled = false; }
NoGradGuard::~NoGradGuard() { t_grad_enabled = previous_; }

Trace* current_trace() { return t_trace; }
ScopedTrace::ScopedTrace(Trace& trace) : previous_(t_trace) { t_trace = &trace; }
ScopedTrace::~ScopedTrace() { t_trace = previous_; }

bool will_record(std::span<const Tensor> inputs) {
  return t_grad_enabled && std::any_of(inputs.begin(), inputs.end(), needs_grad);
}

void attach_node(const std::shared_ptr<Node>& node, std::span<const Tensor> inputs, std::span<const Tensor> outputs) {
  for (const Tensor& input : inputs) {
    Edge edge;
    if (needs_grad(input)) {
      const auto meta = std::static_pointer_cast<GradMeta>(input.autograd_meta());
      edge = {meta->node, meta->output, meta->node ? nullptr : meta, true};
    }
    node->edges_.push_back(std::move(edge));
  }
  node->outputs_ = static_cast<int>(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto meta = ensure_meta(outputs[i]);
    meta->node = node;
    meta->output = static_cast<int>(i);
  }
}

void backward(const Tensor& loss, const Tensor& grad) {
  const GradMeta* meta = grad_meta(loss);
  GRAFT_CHECK(meta && (meta->node || meta->requires_grad), "backward: no input of this result needs a gradient");
  GRAFT_CHECK(grad.defined() || loss.numel() == 1, "backward: a loss of shape ", loss.shape(), " needs a gradient to start from");
  GRAFT_CHECK(!grad.defined() || grad.shape() == loss.shape(), "backward: gradient ", grad.shape(), " for a result of shape ", loss.shape());
  GRAFT_CHECK(!grad.defined() || grad.dtype() == loss.dtype(), "backward: gradient of ", name_of(grad.dtype()), " for a result of ",
              name_of(loss.dtype()));
  const Tensor seed = grad.defined() ? grad.to(loss.format()) : Tensor::full(loss.shape(), 1.0, loss.options());
  if (!meta->node) {
    accumulate(const_cast<GradMeta*>(meta)->grad, seed);
    return;
  }
  NoGradGuard no_grad;
  const std::shared_ptr<Node> root = meta->node;
  std::unordered_map<Node*, std::vector<Tensor>> pending;
  pending[root.get()].resize(static_cast<size_t>(root->outputs()));
  pending[root.get()][static_cast<size_t>(meta->output)] = seed;
  for (Node* node : topological_order(root.get())) {
    const auto found = pending.find(node);
    if (found == pending.end()) continue;
    const std::vector<Tensor> grads = std::move(found->second);
    pending.erase(found);
    GRAFT_CHECK(!node->consumed_, node->name(), ": backward went through this graph already");
    node->consumed_ = true;
    std::vector<Tensor> results = node->backward(grads);
    GRAFT_ASSERT(results.size() == node->edges().size());
    for (size_t i = 0; i < results.size(); ++i) {
      const Edge& edge = node->edges()[i];
      if (!edge.needed || !results[i].defined()) continue;
      if (edge.leaf) {
        accumulate(edge.leaf->grad, results[i]);
      } else {
        auto& slots = pending[edge.node.get()];
        slots.resize(static_cast<size_t>(edge.node->outputs()));
        accumulate(slots[static_cast<size_t>(edge.output)], results[i]);
      }
    }
    node->release();
  }
}

}  // namespace graft
