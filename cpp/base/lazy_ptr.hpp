#pragma once

#include <memory>

namespace amqtt {

// A T that most owners do not have: it takes a pointer's room until it is made. Reading one that
// was not made gives a T as it is at first.
template <class T>
class lazy_ptr {
  public:
    const T& operator*() const noexcept { return value_ ? *value_ : none(); }
    const T* operator->() const noexcept { return &**this; }

    T& make() {
        if (!value_) value_ = std::make_unique<T>();
        return *value_;
    }
    // The T if it was made, else null.
    T* get() noexcept { return value_.get(); }
    bool is_made() const noexcept { return value_ != nullptr; }
    void reset() noexcept { value_.reset(); }

  private:
    static const T& none() noexcept {
        static const T empty{};
        return empty;
    }

    std::unique_ptr<T> value_;
};

}  // namespace amqtt
