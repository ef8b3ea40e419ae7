//! gRPC probes: `grpc.health.v1.Health/Check`. Source: spec 08 §10.2.

use std::time::Duration;

use tokio::time::Instant;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use super::{Outcome, USER_AGENT, authority, go_duration};

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `ServingStatus`.
const STATUS: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: i32 = 1;

/// One attempt; one deadline covers dialling and asking. Everything but SERVING is a failure, never an error.
pub(super) async fn ask(host: &str, port: u16, service: &str, timeout: Duration) -> Outcome {
    let address = authority(host, port);
    let deadline = Instant::now() + timeout;
    let unreachable = |why: &str| {
        let within = go_duration(timeout);
        Outcome::Failure(format!("timeout: failed to connect service \"{address}\" within {within}: {why}"))
    };
    let endpoint = match Endpoint::from_shared(format!("http://{address}")).and_then(|e| e.user_agent(USER_AGENT)) {
        Ok(endpoint) => endpoint,
        Err(error) => return unreachable(&error.to_string()),
    };
    let channel = match tokio::time::timeout_at(deadline, endpoint.connect()).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => return unreachable(&innermost(&error)),
        Err(_) => return unreachable("context deadline exceeded"),
    };
    let mut client = tonic::client::Grpc::new(channel);
    let call = async {
        client.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let codec: ProstCodec<HealthCheckRequest, HealthCheckResponse> = ProstCodec::default();
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
        client.unary(Request::new(HealthCheckRequest { service: service.to_owned() }), path, codec).await
    };
    let late = || Outcome::Failure(format!("timeout: health rpc did not complete within {}", go_duration(timeout)));
    match tokio::time::timeout_at(deadline, call).await {
        Ok(Ok(response)) => match response.into_inner().status {
            SERVING => Outcome::Success { warning: None },
            status => {
                let name = usize::try_from(status).ok().and_then(|index| STATUS.get(index)).copied();
                let name = name.map_or_else(|| status.to_string(), str::to_owned);
                Outcome::Failure(format!("service unhealthy (responded with \"{name}\")"))
            }
        },
        Ok(Err(status)) if status.code() == Code::Unimplemented => Outcome::Failure(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
            status.message()
        )),
        Ok(Err(status)) if status.code() == Code::DeadlineExceeded => late(),
        Ok(Err(status)) => {
            let code = status.code().description();
            Outcome::Failure(format!("error: health rpc failed: {code}: {}", status.message()))
        }
        Err(_) => late(),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}
