//! What every GraphQL operation passes before it runs, by whichever transport it came: the guard, then its caller's
//! points.

use std::time::Instant;

use async_graphql::{Request, Value, parser::types::OperationType, value};

use super::{AppState, caller::Caller, negotiation::MediaType, parameters::Parameters, problem::Problem, router::Edge};
use crate::graphql::guard;

/// Points that a document costs its sender that is turned away: reading it was work.
const REJECTED_POINTS: u32 = 10;

/// An operation that may run.
pub struct Admitted {
    /// The request, parsed, with the caller's data.
    pub request: Request,
    /// What the operation is.
    pub operation: OperationType,
    /// What `extensions.cost` of the answer shows.
    pub cost: Value,
}

/// Admits an operation, or turns it away. `allowed` says which kinds of operation the transport takes.
///
/// # Errors
/// The [`Problem`] to answer with.
pub fn admit(
    edge: &Edge,
    caller: &Caller,
    parameters: Parameters,
    media: MediaType,
    allowed: impl FnOnce(OperationType) -> Result<(), Problem>,
) -> Result<Admitted, Problem> {
    let AppState { settings, per_request, .. } = &edge.app;
    let Parameters { query, operation_name, variables } = parameters;
    let checked = guard::check(&query, operation_name.as_deref(), &variables, &settings.guard).map_err(|rejected| {
        metrics::counter!("atelier_graphql_rejected_total", "code" => rejected.code.as_str()).increment(1);
        match take(edge, caller, REJECTED_POINTS, media) {
            Ok(_) => Problem::rejected(&rejected, media),
            Err(problem) => problem,
        }
    })?;
    allowed(checked.operation)?;
    let remaining = take(edge, caller, checked.cost, media)?;
    let kind = match checked.operation {
        OperationType::Query => "query",
        OperationType::Mutation => "mutation",
        OperationType::Subscription => "subscription",
    };
    metrics::counter!("atelier_graphql_operations_total", "operation" => kind).increment(1);
    metrics::histogram!("atelier_graphql_cost_points").record(f64::from(checked.cost));
    let cost = value!({ "points": checked.cost, "limit": settings.guard.cost, "remaining": remaining });
    let mut request = Request::new(query).variables(variables).data(caller.clone());
    request.operation_name = operation_name;
    request.set_parsed_query(checked.document);
    if let Some(session) = &caller.session {
        request = session.attach(request);
    }
    Ok(Admitted { request: per_request(request, caller), operation: checked.operation, cost })
}

fn take(edge: &Edge, caller: &Caller, points: u32, media: MediaType) -> Result<u32, Problem> {
    edge.rate.take(&caller.rate_key(), points, Instant::now()).map_err(|wait| {
        metrics::counter!("atelier_rate_limited_total").increment(1);
        Problem::rate_limited(wait.as_secs().saturating_add(1)).written_as(media)
    })
}
