//! What crosses a wire or lands in a receipt.
