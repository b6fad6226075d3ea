//! An API whose routes cannot be without a description: [`Api`] takes both together, and holds requests to what the
//! description says before a handler sees them. [`document()`] makes OpenAPI 3.1 of it, [`page()`] a page to read.

mod document;
mod enter;
mod fields;
mod operation;
mod page;
mod values;

pub use document::{Info, document};
pub use fields::{Fields, Part, names, parts};
pub use operation::{Operation, Scope};
pub use page::{STYLE, page};
pub use values::{Cursor, Id, Limit, Number};

use crate::access::Entrance;
use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use enter::Gate;
use std::sync::Arc;

/// Routes with their descriptions.
#[derive(Debug)]
pub struct Api<S = ()> {
    router: Router<S>,
    operations: Vec<Operation>,
    entrance: Entrance,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// No routes yet; whoever comes in does so through this entrance.
    pub fn new(entrance: &Entrance) -> Api<S> {
        Api {
            router: Router::new(),
            operations: Vec::new(),
            entrance: entrance.clone(),
        }
    }

    /// Adds an operation and what it does.
    pub fn add<H, T>(mut self, operation: Operation, handler: H) -> Api<S>
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(operation.method.clone());
        let filter = filter.unwrap_or(MethodFilter::GET);
        let gate = Arc::new(Gate::new(&operation, &self.entrance));
        let route = on(filter, handler).route_layer(from_fn_with_state(gate, enter::enter));
        self.router = self.router.route(operation.path, route);
        self.operations.push(operation);
        self
    }

    /// Does something with the routes so far, such as adding layers.
    pub fn map(mut self, change: impl FnOnce(Router<S>) -> Router<S>) -> Api<S> {
        self.router = change(self.router);
        self
    }

    /// The routes of both.
    pub fn merge(mut self, other: Api<S>) -> Api<S> {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }

    /// The same routes with what their handlers share.
    pub fn with_state<T: Clone + Send + Sync + 'static>(self, state: S) -> Api<T> {
        Api {
            router: self.router.with_state(state),
            operations: self.operations,
            entrance: self.entrance,
        }
    }

    /// The descriptions.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The routes.
    pub fn into_router(self) -> Router<S> {
        self.router
    }
}
