// The tape: node attachment, recording switches and the backward walk.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/tensor/sum.h"

namespace graft {
namespace {

thread_local bool t_grad_enabled = true;
thread_local Trace* t_trace = nullptr;

std::shared_ptr<GradMeta> ensure_meta(const Tensor& tensor) {
  if (!tensor.autograd_meta()) tensor.set_autograd_meta(std::make_shared<GradMeta>());
  return std::static_pointer_cast<GradMeta>(tensor.autograd_meta());
}

void accumulate(Tensor& into, Tensor grad) {
  into = into.defined() ? sum_of(std::move(into), std::move(grad)) : std::move(grad);
}

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

// Nodes that nobody else holds wait in a list through next_dropped_: a destructor must not ask for
// memory.
Node::~Node() {
  std::shared_ptr<Node> dropped;
  const auto take = [&dropped](std::vector<Edge>& edges) {
    for (Edge& edge : edges) {
      const std::shared_ptr<Node> node = std::move(edge.node);
      if (!node || node.use_count() > 1) continue;
      node->next_dropped_ = std::move(dropped);
      dropped = node;
    }
  };
  take(edges_);
  while (dropped) {
    const std::shared_ptr<Node> node = std::move(dropped);
    dropped = std::move(node->next_dropped_);
    take(node->edges_);
  }
}

Remake::~Remake() = default;

SavedTensor::SavedTensor(const Tensor& tensor) {
  if (!tensor.defined()) return;
  if (const GradMeta* meta = grad_meta(tensor); meta && meta->node)
    remake_ = meta->node->remake(meta->output);
  if (!remake_) tensor_ = tensor.detach();
  version_ = tensor.version();
  saved_ = true;
}

const Tensor& SavedTensor::get(const char* op) const {
  GRAFT_CHECK(!saved_ || defined(), op, ": backward went through this graph already");
  if (remake_ && !tensor_.defined()) tensor_ = (*remake_)();
  GRAFT_CHECK(!tensor_.defined() || remake_ || tensor_.version() == version_, op,
              ": a tensor needed for backward was overwritten after the forward pass");
  return tensor_;
}

void set_requires_grad(const Tensor& tensor, bool requires_grad) {
  if (!requires_grad && !tensor.autograd_meta()) return;
  GRAFT_CHECK(!requires_grad || is_floating(tensor.dtype()),
              "only floating-point tensors have gradients, got ", name_of(tensor.dtype()));
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

void attach_node(const std::shared_ptr<Node>& node, std::span<const Tensor> inputs,
                 std::span<const Tensor> outputs) {
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

namespace {

// The node of Tensor's own methods.
class FormNode final : public Node {
 public:
  FormNode(const Tensor& source, const Tensor& result, int64_t begin)
      : shape_(source.shape()),
        options_(source.options()),
        begin_(begin),
        is_part_(result.numel() != source.numel()) {}
  const char* name() const override { return "form"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor grad = grads[0].to(options_.dtype);
    if (!is_part_) return {in_form_of_source(grad)};
    Tensor all = Tensor::zeros(shape_, options_);
    all.narrow_batch(begin_, grad.size(0)).copy_from(grad);
    return {all};
  }
  void release() override {}

 private:
  Tensor in_form_of_source(const Tensor& grad) const {
    return (grad.shape() == shape_ ? grad : grad.to(MemoryFormat::contiguous).reshape(shape_))
        .to(options_.format);
  }

  Shape shape_;
  TensorOptions options_;
  int64_t begin_;
  bool is_part_;
};

}  // namespace

void GradMeta::follow(const Tensor& source, const Tensor& result, int64_t begin) const {
  if (!t_grad_enabled || !(requires_grad || node) || !is_floating(result.dtype())) return;
  attach_node(std::make_shared<FormNode>(source, result, begin), {&source, 1}, {&result, 1});
}

// One backward(): hands gradients from node to node, and stops at leaves that are complete.
class BackwardWalk {
 public:
  enum class Stops { never, at_leaves };

  BackwardWalk(const Tensor& loss, const Tensor& grad, Stops stops) : stops_(stops) {
    GradMeta* meta = grad_meta(loss);
    GRAFT_CHECK(meta && (meta->node || meta->requires_grad),
                "backward: no input of this result needs a gradient");
    GRAFT_CHECK(grad.defined() || loss.numel() == 1, "backward: a loss of shape ", loss.shape(),
                " needs a gradient to start from");
    GRAFT_CHECK(!grad.defined() || grad.shape() == loss.shape(), "backward: gradient ",
                grad.shape(), " for a result of shape ", loss.shape());
    GRAFT_CHECK(!grad.defined() || grad.dtype() == loss.dtype(), "backward: gradient of ",
                name_of(grad.dtype()), " for a result of ", name_of(loss.dtype()));
    const NoGradGuard no_grad;
    Tensor seed =
        grad.defined() ? grad.to(loss.format()) : Tensor::full(loss.shape(), 1.0, loss.options());
    if (meta->node) {
      start(meta->node, meta->output, std::move(seed));
    } else {
      accumulate(meta->grad, std::move(seed));
      if (stops_ == Stops::at_leaves)
        lone_leaf_ = std::static_pointer_cast<GradMeta>(loss.autograd_meta());
    }
  }

  // The next leaf that is complete; null at the end.
  GradMeta* next() {
    if (lone_leaf_) {
      told_ = std::move(lone_leaf_);
      return told_.get();
    }
    const NoGradGuard no_grad;
    for (; at_ < order_.size(); ++at_, edge_ = 0) {
      Node& node = *order_[at_];
      if (edge_ == 0) take(node);
      if (stops_ == Stops::at_leaves)
        if (GradMeta* leaf = complete_leaf(node)) return leaf;
    }
    return nullptr;
  }

 private:
  void start(const std::shared_ptr<Node>& root, int output, Tensor seed) {
    root_ = root;
    order_ = topological_order(root.get());
    if (stops_ == Stops::at_leaves)
      for (const Node* node : order_)
        for (const Edge& edge : node->edges())
          if (edge.leaf) ++uses_[edge.leaf.get()];
    collect(*root, output, std::move(seed));
  }

  // Runs the node when it has gradients, once.
  void take(Node& node) {
    const auto found = pending_.find(&node);
    if (found == pending_.end()) return;
    const std::vector<Tensor> grads = std::move(found->second);
    pending_.erase(found);
    run(node, grads);
  }

  void collect(Node& node, int output, Tensor grad) {
    auto& slots = pending_[&node];
    slots.resize(static_cast<size_t>(node.outputs()));
    accumulate(slots[static_cast<size_t>(output)], std::move(grad));
  }

  void run(Node& node, const std::vector<Tensor>& grads) {
    GRAFT_CHECK(!node.consumed_, node.name(), ": backward went through this graph already");
    node.consumed_ = true;
    find_gradients_so_far(node);
    std::vector<Tensor> results = node.backward(grads);
    node.so_far_.clear();
    GRAFT_ASSERT(results.size() == node.edges().size());
    for (size_t i = 0; i < results.size(); ++i) {
      const Edge& edge = node.edges()[i];
      if (!edge.needed || !results[i].defined()) continue;
      if (edge.leaf)
        accumulate(edge.leaf->grad, std::move(results[i]));
      else
        collect(*edge.node, edge.output, std::move(results[i]));
    }
    node.release();
  }

  void find_gradients_so_far(Node& node) {
    for (const Edge& edge : node.edges()) {
      Tensor* sum = nullptr;
      if (edge.needed && edge.leaf)
        sum = &edge.leaf->grad;
      else if (const auto found = edge.needed ? pending_.find(edge.node.get()) : pending_.end();
               found != pending_.end())
        sum = &found->second[static_cast<size_t>(edge.output)];
      node.so_far_.push_back(sum && sum->defined() && sum->is_unshared() ? sum : nullptr);
    }
  }

  // Of the node's inputs, from edge_ on, the next leaf that no other operation still waits for.
  GradMeta* complete_leaf(const Node& node) {
    while (edge_ < node.edges().size()) {
      const Edge& edge = node.edges()[edge_++];
      if (edge.leaf && --uses_[edge.leaf.get()] == 0 && edge.leaf->grad.defined())
        return edge.leaf.get();
    }
    return nullptr;
  }

  Stops stops_;
  std::shared_ptr<Node> root_;  // keeps the graph
  std::vector<Node*> order_;
  size_t at_ = 0, edge_ = 0;                    // the next of order_, and of its edges
  std::shared_ptr<GradMeta> lone_leaf_, told_;  // a loss that is a leaf itself
  std::unordered_map<Node*, std::vector<Tensor>>
      pending_;  // gradients of outputs, until their node is reached
  std::unordered_map<const GradMeta*, int64_t>
      uses_;  // operations still to come that have the leaf as an input
};

void backward(const Tensor& loss, const Tensor& grad) {
  BackwardWalk(loss, grad, BackwardWalk::Stops::never).next();
}

BackwardPass::BackwardPass(const Tensor& loss)
    : walk_(std::make_unique<BackwardWalk>(loss, Tensor(), BackwardWalk::Stops::at_leaves)) {}
BackwardPass::~BackwardPass() = default;
GradMeta* BackwardPass::next_leaf() { return walk_->next(); }

}  // namespace graft
