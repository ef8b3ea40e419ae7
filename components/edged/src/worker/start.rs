//! Makes a sandbox and starts containers in it. Source: spec 08 §6.2, §8.

use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::backoff::go_duration;
use crate::cri::CriError;
use crate::cri::proto::{self as p, ContainerState};
use crate::facts::PodFacts;
use crate::files::{self, PodHostname, hosts, termination};
use crate::images::{self, LocalImage, Refresh, credentials};
use crate::observed::{PodRuntime, RuntimeContainer};
use crate::plan::ContainerRef;
use crate::status::StartFailure;
use crate::translate::container::{ContainerFacts, container_config};
use crate::translate::sandbox::{SandboxFacts, sandbox_config};
use crate::translate::{self};
use crate::volumes::MountedVolumes;
use crate::{cgroups, env, hash, pod};

use super::run::{START_RETRY, is_name_taken};
use super::{Agent, Interrupt, Memory, PassError, dns, hooks, instant_of, stop};

/// Names tried when the runtime still reserves one. Source: spec 08 §19 P-6.
const NAME_ATTEMPTS: u32 = 3;
/// Longest file name. Source: spec 08 §8.5.
const MAX_FILE_NAME: usize = 255;

/// Back-off follows the definition: a new image starts without delay.
pub fn backoff_key(container: &Container) -> String {
    let image = container.image.as_deref().unwrap_or_default();
    format!("{}_{:x}", container.name, hash::container_hash(&container.name, image))
}

/// One start and what follows from it.
#[derive(Debug, Default)]
pub struct Started {
    /// When to try again, if it did not work.
    pub retry: Option<Instant>,
    /// Containers after this one must wait.
    pub blocks_others: bool,
}

/// Everything that starts in one pass shares this.
pub struct Starter<'a> {
    agent: &'a Agent,
    pod: &'a Arc<Pod>,
    hostname: PodHostname,
    sandbox_facts: SandboxFacts,
    facts: PodFacts,
    mounted: MountedVolumes,
    sandbox_id: String,
    sandbox: p::PodSandboxConfig,
    credentials: Option<Vec<credentials::Credential>>,
}

impl<'a> Starter<'a> {
    /// Names, resolver settings, cgroup and directories of the pod.
    pub fn prepare(agent: &'a Agent, pod: &'a Arc<Pod>, seen: Timestamp) -> Result<Self, PassError> {
        let settings = &agent.settings;
        let hostname = files::hostname(pod, &settings.cluster_domain)?;
        let (config, warnings) = files::dns::config(pod, settings);
        for warning in warnings {
            warn!(reason = warning.reason, warning.message, "pod resolver settings");
        }
        let sandbox_facts = SandboxFacts {
            hostname: hostname.kernel.clone(),
            dns: dns(config),
            cgroup_driver: agent.cgroup_driver(),
            seen,
        };
        let starter = Self {
            agent,
            pod,
            hostname,
            sandbox_facts,
            facts: agent.facts(&PodRuntime::default()),
            mounted: MountedVolumes::default(),
            sandbox_id: String::new(),
            sandbox: p::PodSandboxConfig::default(),
            credentials: None,
        };
        starter.make_directories().map_err(PassError::Directory)?;
        starter.make_cgroup();
        Ok(starter)
    }

    fn make_directories(&self) -> std::io::Result<()> {
        let dir = self.agent.settings.root_dir.join("pods").join(pod::uid(self.pod));
        for sub in ["volumes", "plugins"] {
            std::fs::DirBuilder::new().recursive(true).mode(0o750).create(dir.join(sub))?;
        }
        Ok(())
    }

    /// Pod-level limits are a refinement: a pod runs without them when the hierarchy cannot be written.
    fn make_cgroup(&self) {
        let settings = &self.agent.settings;
        if !settings.cgroups_per_qos || self.sandbox_facts.cgroup_driver == crate::doors::CgroupDriver::Systemd {
            return;
        }
        let limits = cgroups::pod_limits(self.pod, settings.cpu_cfs_quota, settings.cpu_cfs_quota_period);
        let path = stop::cgroup_path(self.agent, self.pod);
        if let Err(error) = self.agent.cgroups.ensure(&path, Some(&limits), settings.pod_pids_limit) {
            tracing::debug!(%error, "pod cgroup not prepared");
        }
    }

    /// Sets the volumes up.
    pub async fn mount(&mut self, observed: &PodRuntime) -> Result<(), PassError> {
        self.facts = self.agent.facts(observed);
        self.mounted = self.agent.volumes.setup(self.pod, &self.facts).await?;
        Ok(())
    }

    /// Starts into a sandbox that exists.
    pub fn use_sandbox(&mut self, id: &str, attempt: u32, ips: Vec<IpAddr>) {
        id.clone_into(&mut self.sandbox_id);
        self.sandbox = sandbox_config(self.pod, attempt, &self.sandbox_facts, &self.agent.settings);
        self.set_ips(ips);
    }

    fn set_ips(&mut self, ips: Vec<IpAddr>) {
        self.facts.pod_ips = if pod::host_network(self.pod) { self.facts.host_ips.clone() } else { ips };
    }

    /// Creates a sandbox and learns its addresses.
    pub async fn create_sandbox(&mut self, attempt: u32) -> Result<(), CriError> {
        let config = sandbox_config(self.pod, attempt, &self.sandbox_facts, &self.agent.settings);
        make_log_directory(Path::new(&config.log_directory));
        let class = self.pod.spec.as_ref().and_then(|spec| spec.runtime_class_name.clone()).unwrap_or_default();
        let id = self.agent.runtime.run_pod_sandbox(config.clone(), class).await?;
        let status = self.agent.runtime.pod_sandbox_status(&id).await?;
        let network = status.network.unwrap_or_default();
        let all = std::iter::once(network.ip).chain(network.additional_ips.into_iter().map(|additional| additional.ip));
        self.sandbox_id = id;
        self.sandbox = config;
        self.set_ips(all.filter_map(|ip| ip.parse().ok()).collect());
        info!(sandbox.id = self.sandbox_id, attempt, "sandbox started");
        Ok(())
    }

    /// Starts one container; its failure is remembered for the status, not returned.
    ///
    /// # Errors
    /// Only [`PassError::Interrupted`].
    pub async fn start(
        &mut self,
        reference: ContainerRef,
        observed: &PodRuntime,
        memory: &mut Memory,
        interrupt: &Interrupt,
    ) -> Result<Started, PassError> {
        let Some((container, target)) = self.definition(reference) else { return Ok(Started::default()) };
        let init = matches!(reference, ContainerRef::Init(_));
        let blocking = init && !pod::is_sidecar(&container);
        let previous = observed.newest(&container.name);
        match self.try_start(&container, target, previous, observed, memory, interrupt).await {
            Ok(()) => {
                memory.failures.remove(&container.name);
                Ok(Started { retry: None, blocks_others: blocking })
            }
            Err(StartError::Interrupted) => Err(PassError::Interrupted),
            Err(StartError::Failed { failure, retry }) => {
                if memory.failures.get(&container.name) != Some(&failure) {
                    warn!(
                        container = container.name,
                        reason = failure.reason,
                        message = failure.message,
                        "not started"
                    );
                }
                memory.failures.insert(container.name.clone(), failure);
                Ok(Started { retry: Some(retry), blocks_others: blocking })
            }
        }
    }

    /// The definition, and for an ephemeral container the one whose processes it sees.
    fn definition(&self, reference: ContainerRef) -> Option<(Container, Option<String>)> {
        match reference {
            ContainerRef::Main(index) => pod::containers(self.pod).get(index).map(|it| (it.clone(), None)),
            ContainerRef::Init(index) => pod::init_containers(self.pod).get(index).map(|it| (it.clone(), None)),
            ContainerRef::Ephemeral(index) => pod::ephemeral_containers(self.pod)
                .get(index)
                .map(|it| (pod::ephemeral_as_container(it), it.target_container_name.clone())),
        }
    }

    async fn try_start(
        &mut self,
        container: &Container,
        target: Option<String>,
        previous: Option<&RuntimeContainer>,
        observed: &PodRuntime,
        memory: &mut Memory,
        interrupt: &Interrupt,
    ) -> Result<(), StartError> {
        self.check_backoff(container, previous, memory)?;
        if self.credentials.is_none() {
            self.credentials = Some(credentials::of_pod(self.pod, self.agent.api.as_ref()).await);
        }
        let known = self.credentials.as_deref().unwrap_or(&[]);
        let refresh = match (*self.agent.api.connected().borrow(), previous) {
            (false, _) => Refresh::Never,
            (true, Some(_)) => Refresh::Brief,
            (true, None) => Refresh::Full,
        };
        let ensured = self.agent.images.ensure(self.pod, container, &self.sandbox, known, refresh, &mut memory.images);
        let image =
            interrupt.any.run_until_cancelled(ensured).await.ok_or(StartError::Interrupted)?.map_err(|error| {
                let failure = StartFailure { reason: error.reason(), message: error.to_string() };
                StartError::Failed { failure, retry: images::retry_at(&error, Instant::now()) }
            })?;
        let target_id = match target {
            None => None,
            Some(name) => {
                let found = observed.newest(&name).map(|container| container.id.clone());
                Some(found.ok_or_else(|| config_error(format!("unable to find target container {name}")))?)
            }
        };
        // A container that was made but never started is replaced under the same number.
        let mut attempt = match previous {
            Some(previous) if previous.state == ContainerState::Created => {
                let _ = self.agent.runtime.remove_container(&previous.id).await;
                previous.restart_count
            }
            Some(previous) => previous.restart_count + 1,
            None => next_log_number(&Path::new(&self.sandbox.log_directory).join(&container.name)),
        };
        let mut names_left = NAME_ATTEMPTS;
        let id = loop {
            let config = self.config(container, attempt, &image, target_id.clone()).await?;
            let created = self.agent.runtime.create_container(&self.sandbox_id, config, self.sandbox.clone()).await;
            match created {
                Ok(id) => break id,
                Err(error) if is_name_taken(&error) && names_left > 1 => {
                    attempt += 1;
                    names_left -= 1;
                }
                Err(error) => return Err(failed("CreateContainerError", error.to_string())),
            }
        };
        if let Err(error) = self.agent.runtime.start_container(&id).await {
            return Err(failed("RunContainerError", error.to_string()));
        }
        info!(container = container.name, container.id = id, attempt, "container started");
        self.link_log(container, attempt, &id);
        self.post_start(container, &id, interrupt).await
    }

    /// A hook runs as long as it likes, but no longer than its pod is wanted. Another change of the pod lets it run.
    async fn post_start(&self, container: &Container, id: &str, interrupt: &Interrupt) -> Result<(), StartError> {
        let Some(handler) = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref()) else {
            return Ok(());
        };
        let ip = self.facts.pod_ips.first().copied();
        let hook = hooks::run(self.agent, container, handler, id, ip, None);
        let ended = interrupt.stop.run_until_cancelled(hook).await.ok_or(StartError::Interrupted)?;
        let Err(error) = ended else { return Ok(()) };
        let grace = pod::grace(self.pod).max(super::MIN_STOP_GRACE);
        let stopped = self.agent.runtime.stop_container(id, grace);
        let _ = interrupt.stop.run_until_cancelled(stopped).await.ok_or(StartError::Interrupted)?;
        Err(failed("PostStartHookError", error.to_string()))
    }

    fn check_backoff(
        &self,
        container: &Container,
        previous: Option<&RuntimeContainer>,
        memory: &mut Memory,
    ) -> Result<(), StartError> {
        let Some(previous) = previous.filter(|previous| previous.is_exited()) else { return Ok(()) };
        let key = backoff_key(container);
        let now = Instant::now();
        let wall = Timestamp::now();
        let Some(failed_at) = instant_of(previous.finished_at, wall, now) else { return Ok(()) };
        let remaining = if i128::from(previous.finished_at) > wall.as_nanosecond() {
            // The clock went back: it would say "just now" for ever.
            memory.backoff.remaining_since_next(&key, now)
        } else {
            memory.backoff.remaining(&key, failed_at, now)
        };
        if let Some((delay, due)) = remaining {
            let (delay, name, pod) = (go_duration(delay), &container.name, pod::display(self.pod));
            let message = format!("back-off {delay} restarting failed container={name} pod={pod}");
            let failure = StartFailure { reason: "CrashLoopBackOff", message };
            return Err(StartError::Failed { failure, retry: due });
        }
        memory.backoff.next(&key, failed_at, now);
        Ok(())
    }

    async fn config(
        &self,
        container: &Container,
        attempt: u32,
        image: &LocalImage,
        target_id: Option<String>,
    ) -> Result<p::ContainerConfig, StartError> {
        let env = env::container_env(self.pod, container, &self.facts, self.agent.api.as_ref())
            .await
            .map_err(|error| config_error(error.to_string()))?;
        let mounts = self.mounts(container, &env).await?;
        make_log_directory(&Path::new(&self.sandbox.log_directory).join(&container.name));
        let facts = ContainerFacts {
            attempt,
            image: image.clone(),
            env,
            mounts,
            memory_capacity: self.facts.resources.memory_capacity,
            cgroup_version: self.agent.cgroups.version(),
            target_id,
        };
        container_config(self.pod, container, facts, &self.agent.settings)
            .map_err(|error| config_error(error.to_string()))
    }

    /// Volume mounts in the order of the spec, then `/etc/hosts`, then the termination log. Source: spec 08 §8.8.
    async fn mounts(&self, container: &Container, env: &[(String, String)]) -> Result<Vec<p::Mount>, StartError> {
        let root = &self.agent.settings.root_dir;
        let mut mounts = Vec::new();
        let wanted = container.volume_mounts.as_deref().unwrap_or(&[]);
        for (index, mount) in wanted.iter().enumerate() {
            let volumes = &self.agent.volumes;
            let host_path = volumes
                .mount_source(self.pod, &container.name, index, mount, &self.mounted, env)
                .await
                .map_err(|error| config_error(error.to_string()))?;
            let volume_read_only = self.mounted.by_name.get(&mount.name).is_some_and(|volume| volume.read_only);
            let path = &mount.mount_path;
            mounts.push(p::Mount {
                container_path: if path.starts_with('/') { path.clone() } else { format!("/{path}") },
                host_path: text(&host_path),
                readonly: mount.read_only == Some(true) || volume_read_only,
                selinux_relabel: false,
                propagation: match mount.mount_propagation.as_deref() {
                    Some("HostToContainer") => p::MountPropagation::HostToContainer,
                    Some("Bidirectional") => p::MountPropagation::Bidirectional,
                    _ => p::MountPropagation::Private,
                }
                .into(),
                recursive_read_only: false,
            });
        }
        let bind = |container_path: &str, host_path: &Path| p::Mount {
            container_path: container_path.to_owned(),
            host_path: text(host_path),
            ..p::Mount::default()
        };
        if hosts::is_wanted_by(wanted.iter().map(|mount| mount.mount_path.as_str())) {
            let written = hosts::write(root, self.pod, &self.facts, &self.hostname);
            if let Some(path) = written.map_err(|error| config_error(error.to_string()))? {
                mounts.push(bind("/etc/hosts", &path));
            }
        }
        let message_path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
        if !message_path.is_empty() {
            let uid = pod::uid(self.pod);
            let path = termination::create(root, uid, &container.name);
            let path = path.map_err(|error| config_error(error.to_string()))?;
            termination::prune(root, uid, &container.name, KEPT_MESSAGES);
            mounts.push(bind(message_path, &path));
        }
        Ok(mounts)
    }

    /// The flat link for log collectors; without it the container is as good.
    fn link_log(&self, container: &Container, attempt: u32, id: &str) {
        let relative = translate::container::log_path(&container.name, attempt);
        let log = Path::new(&self.sandbox.log_directory).join(relative);
        let link = self.agent.settings.container_logs_dir.join(link_name(self.pod, &container.name, id));
        if let Err(error) = std::os::unix::fs::symlink(&log, &link) {
            tracing::debug!(%error, link = %link.display(), "log not linked");
        }
    }
}

/// Files of earlier starts that a container on record may still refer to.
const KEPT_MESSAGES: usize = 3;

/// `<pod>_<namespace>_<container>-<id>.log`, cut before the suffix.
pub fn link_name(pod: &Pod, container: &str, id: &str) -> String {
    let mut name = format!("{}_{}_{container}-{id}", pod::name(pod), pod::namespace(pod));
    name.truncate(MAX_FILE_NAME - ".log".len());
    name + ".log"
}

enum StartError {
    Failed { failure: StartFailure, retry: Instant },
    Interrupted,
}

fn failed(reason: &'static str, message: String) -> StartError {
    StartError::Failed { failure: StartFailure { reason, message }, retry: Instant::now() + START_RETRY }
}

fn config_error(message: String) -> StartError {
    failed("CreateContainerConfigError", message)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn make_log_directory(dir: &Path) {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(dir);
    if let Err(error) = made {
        warn!(%error, dir = %dir.display(), "log directory not made");
    }
}

/// One more than the highest `<n>.log*` in a container's log directory, 0 if there is none: the runtime may have
/// lost the containers of a pod, its restart count goes on. Source: spec 08 §6.6.
fn next_log_number(dir: &Path) -> u32 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let numbers = files.filter_map(|file| {
        let name: PathBuf = file.file_name().into();
        let name = name.to_str()?;
        let (number, rest) = name.split_once('.')?;
        rest.starts_with("log").then(|| number.parse::<u32>().ok()).flatten()
    });
    numbers.max().map_or(0, |highest| highest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_count_continues_from_the_log_files() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(next_log_number(dir.path()), 0);
        for name in ["0.log", "2.log", "2.log.20260101-000000", "11.log.20260101-000000.gz", "x.log", "99.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(next_log_number(dir.path()), 12);
    }

    #[test]
    fn link_names_fit_a_file_system() {
        let pod: Pod =
            serde_json::from_value(serde_json::json!({"metadata": {"name": "web-0", "namespace": "default"}})).unwrap();
        assert_eq!(link_name(&pod, "nginx", "7f3"), "web-0_default_nginx-7f3.log");
        let long = link_name(&pod, &"c".repeat(300), "7f3");
        assert_eq!((long.len(), &long[251..]), (255, ".log"));
    }
}
