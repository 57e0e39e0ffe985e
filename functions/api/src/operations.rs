//! Operations: what `#[utoipa::path]` says of a handler is where it is served, and what the document says of it.
//!
//! The two are made of the same lists, one a module, but apart: a program that serves carries nothing of what makes the
//! document, and serves it as it is committed. That is half a megabyte less for Lambda to load.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use http::Method;
use utoipa::__dev::{SchemaReferences, Tags};
use utoipa::Path;
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::{Components, OpenApi};

use crate::Context;

/// What is made of the operations.
pub(crate) trait Collect: Sized {
    /// With one more: a handler, and what is said of it.
    fn with<D, H, T>(self, handler: H) -> Self
    where
        D: Path + SchemaReferences + for<'t> Tags<'t>,
        H: Handler<T, Context>,
        T: 'static;
}

/// Collects handlers: [`routes!`](routes) of what is collected in, and the names of functions, perhaps of modules.
macro_rules! routes {
    ($into:expr, $($handler:ident),+ $(,)?) => {
        utoipa_axum::paste! {{
            let into = $into;
            $(let into = into.with::<[<__path_ $handler>], _, _>($handler);)+
            into
        }}
    };
    ($into:expr, $($module:ident::$handler:ident),+ $(,)?) => {
        utoipa_axum::paste! {{
            let into = $into;
            $(let into = into.with::<$module::[<__path_ $handler>], _, _>($module::$handler);)+
            into
        }}
    };
}

pub(crate) use routes;

/// Collects what is served.
#[derive(Default)]
pub(crate) struct Served {
    pub(crate) router: Router<Context>,
    /// The method and the path of each operation.
    pub(crate) operations: Vec<(Method, String)>,
}

impl Collect for Served {
    fn with<D, H, T>(mut self, handler: H) -> Self
    where
        D: Path + SchemaReferences + for<'t> Tags<'t>,
        H: Handler<T, Context>,
        T: 'static,
    {
        for method in D::methods() {
            let (filter, method) = served(&method);
            self.router = self.router.route(&D::path(), on(filter, handler.clone()));
            self.operations.push((method, D::path()));
        }
        self
    }
}

fn served(method: &HttpMethod) -> (MethodFilter, Method) {
    match method {
        HttpMethod::Get => (MethodFilter::GET, Method::GET),
        HttpMethod::Put => (MethodFilter::PUT, Method::PUT),
        HttpMethod::Post => (MethodFilter::POST, Method::POST),
        HttpMethod::Head => (MethodFilter::HEAD, Method::HEAD),
        HttpMethod::Patch => (MethodFilter::PATCH, Method::PATCH),
        HttpMethod::Trace => (MethodFilter::TRACE, Method::TRACE),
        HttpMethod::Delete => (MethodFilter::DELETE, Method::DELETE),
        HttpMethod::Options => (MethodFilter::OPTIONS, Method::OPTIONS),
    }
}

/// Collects what the document says.
pub(crate) struct Documented(pub(crate) OpenApi);

impl Collect for Documented {
    fn with<D, H, T>(mut self, _: H) -> Self
    where
        D: Path + SchemaReferences + for<'t> Tags<'t>,
        H: Handler<T, Context>,
        T: 'static,
    {
        let mut operation = D::operation();
        operation.tags.get_or_insert_default().extend(D::tags().into_iter().map(str::to_owned));
        self.0.paths.add_path_operation(D::path(), D::methods(), operation);
        let mut schemas = Vec::new();
        D::schemas(&mut schemas);
        self.0.components.get_or_insert_with(Components::new).schemas.extend(schemas);
        self
    }
}
