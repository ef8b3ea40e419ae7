//! Certificate requests: who approves for a signer, and a subject nobody may ask for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    apiserver::{
        api::{Api, Target, WriteContext},
        meta,
        status::ApiError,
    },
    security::{
        rbac::Decision,
        user::{Attributes, MASTERS},
    },
};

/// The signer of client certificates for the API server.
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// CertificateApproval: the caller needs the verb `approve` for the signer, or for `<domain>/*`.
pub fn approve(api: &Api, context: &WriteContext, target: &Target, request: &Value) -> Result<(), ApiError> {
    let signer = request["spec"]["signerName"].as_str().unwrap_or_default();
    let domain = signer.split('/').next().unwrap_or_default();
    let allowed = [signer.to_owned(), format!("{domain}/*")].into_iter().any(|name| {
        let asked = Attributes {
            verb: "approve".into(),
            group: "certificates.k8s.io".into(),
            version: "*".into(),
            resource: "signers".into(),
            name,
            ..Attributes::default()
        };
        matches!(api.rbac.authorize(&context.user, &asked), Decision::Allow(_))
    });
    if allowed {
        return Ok(());
    }
    let cause = format!("user not permitted to approve requests with signerName {signer:?}");
    Err(ApiError::forbidden(&target.info, &target.name, &cause))
}

/// CertificateSubjectRestriction: nobody becomes a member of `system:masters` by asking for it.
pub fn restrict_subject(target: &Target, request: &Value) -> Result<(), ApiError> {
    if request["spec"]["signerName"] != CLIENT_SIGNER {
        return Ok(());
    }
    let pem = request["spec"]["request"].as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    let text = String::from_utf8_lossy(&pem).into_owned();
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).unwrap_or_default();
    // The organization stands in the subject as plain ASCII whichever string type was chosen.
    let asks = der.windows(MASTERS.len()).any(|window| window == MASTERS.as_bytes());
    if asks {
        let cause = format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed");
        return Err(ApiError::forbidden(&target.info, meta::name(request), &cause));
    }
    Ok(())
}
