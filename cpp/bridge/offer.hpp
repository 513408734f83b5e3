#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace amqtt {

// Content on its way to another thread, which its sender can take back until the other has taken
// it: whoever of the two comes first has it.
template <class Content>
class offer {
  public:
    explicit offer(std::unique_ptr<Content> content) noexcept : content_(content.release()) {}
    ~offer() { take(); }
    offer(const offer&) = delete;
    offer& operator=(const offer&) = delete;

    // The content; null when it was taken before, here or there. Any thread.
    std::unique_ptr<Content> take() noexcept {
        return std::unique_ptr<Content>(content_.exchange(nullptr, std::memory_order_acq_rel));
    }

  private:
    std::atomic<Content*> content_;
};

template <class Content>
std::shared_ptr<offer<Content>> make_offer(Content content) {
    return std::make_shared<offer<Content>>(std::make_unique<Content>(std::move(content)));
}

}  // namespace amqtt
