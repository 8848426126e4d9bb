//! Routes with the role that each takes. A route can only be added together with its role, so none can lack one.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, on},
};
use stockroom_common::Role;

/// For routes that need no token.
pub(crate) const PUBLIC: Option<Role> = None;
pub(crate) const VIEWER: Option<Role> = Some(Role::Viewer);
pub(crate) const EDITOR: Option<Role> = Some(Role::Editor);
pub(crate) const ADMIN: Option<Role> = Some(Role::Admin);

pub(crate) const GET: Method = Method::GET;
pub(crate) const POST: Method = Method::POST;
pub(crate) const PUT: Method = Method::PUT;
pub(crate) const PATCH: Method = Method::PATCH;
pub(crate) const DELETE: Method = Method::DELETE;

/// The lowest role that may use a method of a path, for all routes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights(HashMap<Arc<str>, Vec<(Method, Option<Role>)>>);

impl Rights {
    /// The methods of a path with their roles; empty if there is no such path.
    pub(crate) fn of_path(&self, path: &str) -> &[(Method, Option<Role>)] {
        self.0.get(path).map_or(&[], Vec::as_slice)
    }

    /// The role that a method of a path takes; `None` if the path does not have the method. A HEAD is a GET.
    pub(super) fn find(&self, path: &str, method: &Method) -> Option<Option<Role>> {
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut methods = self.of_path(path).iter();
        methods
            .find(|(known, _)| known == method)
            .map(|(_, role)| *role)
    }

    /// All routes: path, method and role.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Method, Option<Role>)> {
        let paths = self.0.iter();
        paths.flat_map(|(path, methods)| {
            methods
                .iter()
                .map(move |(method, role)| (&**path, method, *role))
        })
    }
}

/// A router under construction, and the rights of its routes.
pub(crate) struct Routes<S> {
    router: Router<S>,
    rights: Rights,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub(crate) fn new() -> Self {
        Self {
            router: Router::new(),
            rights: Rights::default(),
        }
    }

    /// Adds a route. `role` is the lowest role that may use it.
    ///
    /// # Panics
    /// If the route exists already, or the method is none of HTTP's own.
    pub(crate) fn on<H, T>(
        mut self,
        role: Option<Role>,
        method: Method,
        path: &str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("a method of HTTP");
        let methods = self.rights.0.entry(path.into()).or_default();
        methods.push((method, role));
        self.router = self.router.route(path, on(filter, handler));
        self
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        for (path, methods) in other.rights.0 {
            self.rights.0.entry(path).or_default().extend(methods);
        }
        self.router = self.router.merge(other.router);
        self
    }

    /// Adds layers to the routes so far.
    pub(crate) fn layered(mut self, layers: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        self.router = layers(self.router);
        self
    }

    pub(crate) fn with_state<S2>(self, state: S) -> Routes<S2> {
        Routes {
            router: self.router.with_state(state),
            rights: self.rights,
        }
    }

    pub(crate) fn into_parts(self) -> (Router<S>, Rights) {
        (self.router, self.rights)
    }
}
