//! The schema as the edge sees it: hardened, and without its three root types.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_graphql::{
    ObjectType, Request, Response, Schema, SchemaBuilder, SubscriptionType, Value, parser::types::OperationType,
};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};

use super::{error, guard::GuardSettings};

/// A schema that the edge can run whatever its root types are.
#[derive(Clone)]
pub struct AnySchema(Arc<dyn Run>);

trait Run: Send + Sync {
    fn execute(&self, request: Request) -> BoxFuture<'_, Response>;
    fn subscribe(&self, request: Request) -> BoxStream<'static, Response>;
}

impl<Q, M, S> Run for Schema<Q, M, S>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    fn execute(&self, request: Request) -> BoxFuture<'_, Response> {
        Schema::execute(self, request).boxed()
    }

    fn subscribe(&self, request: Request) -> BoxStream<'static, Response> {
        self.execute_stream(request)
    }
}

/// A response, and what became of its operation.
#[derive(Debug)]
pub struct Answer {
    /// Data, errors with their codes, extensions.
    pub response: Response,
    /// What became of the operation.
    pub outcome: Outcome,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not begun: the document does not fit the schema.
    Refused,
    /// It was run; fields may have failed.
    Executed,
    /// It panicked.
    Broken,
}

impl Answer {
    /// As clients get it: without `data` when nothing was begun.
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::to_value(&self.response).unwrap_or_else(|error| {
            tracing::error!(%error, "an answer could not be written as JSON");
            serde_json::json!({ "errors": [error::entry(error::Code::Internal, "The answer could not be written.")] })
        });
        if self.outcome != Outcome::Executed
            && let Some(object) = json.as_object_mut()
        {
            object.shift_remove("data");
        }
        json
    }
}

impl AnySchema {
    /// Finishes a schema for use behind the guard. It has no extension: with one, every field of every answer is looked up by
    /// its type's name and resolved through a further future, which is a twelfth of what a page of the marketplace costs.
    pub fn new<Q, M, S>(builder: SchemaBuilder<Q, M, S>, settings: &GuardSettings) -> Self
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static,
    {
        let mut builder = builder.limit_directives(settings.directives).limit_recursive_depth(64);
        if !settings.suggestions {
            builder = builder.disable_suggestions();
        }
        if !settings.introspection {
            builder = builder.disable_introspection();
        }
        Self(Arc::new(builder.finish()))
    }

    /// Runs a query or mutation that passed the guard. A panic inside becomes an error of the answer.
    pub async fn execute(&self, request: Request, request_id: &str) -> Answer {
        let result = AssertUnwindSafe(self.0.execute(request)).catch_unwind().await;
        answer(result.ok(), was_begun, request_id)
    }

    /// Runs any operation that passed the guard, as a stream of answers. A panic inside ends it with an error.
    pub fn stream(&self, request: Request, operation: OperationType, request_id: String) -> BoxStream<'static, Answer> {
        // What nothing came of before it failed was never begun: no event can be told from no source of events otherwise.
        let mut has_begun = operation != OperationType::Subscription;
        let answers = AssertUnwindSafe(self.0.subscribe(request)).catch_unwind();
        let answered = move |result: Result<Response, _>| {
            let was_begun = |response: &Response| {
                has_begun |= response.errors.is_empty() || response.data != Value::Null;
                has_begun && was_begun(response)
            };
            answer(result.ok(), was_begun, &request_id)
        };
        answers.map(answered).boxed()
    }
}

/// Finishes a response; none is there after a panic.
fn answer(response: Option<Response>, was_begun: impl FnOnce(&Response) -> bool, request_id: &str) -> Answer {
    let Some(mut response) = response else {
        tracing::error!(request_id, "a resolver panicked");
        let response = Response::from_errors(vec![error::internal(request_id)]);
        return Answer { response, outcome: Outcome::Broken };
    };
    let executed = was_begun(&response);
    error::finish(&mut response, executed, request_id);
    Answer { response, outcome: if executed { Outcome::Executed } else { Outcome::Refused } }
}

/// Whether the operation was begun, and not refused by validation: then there are data, or an error says at which field.
fn was_begun(response: &Response) -> bool {
    let names_field = || response.errors.iter().any(|error| !error.path.is_empty());
    response.errors.is_empty() || response.data != Value::Null || names_field()
}
