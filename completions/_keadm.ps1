
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'keadm' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'keadm'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'keadm' {
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Set up the cloud side on this host')
            [CompletionResult]::new('join', 'join', [CompletionResultType]::ParameterValue, 'Make this host an edge node')
            [CompletionResult]::new('gettoken', 'gettoken', [CompletionResultType]::ParameterValue, 'Print the token that edge nodes join with')
            [CompletionResult]::new('reset', 'reset', [CompletionResultType]::ParameterValue, 'Remove what init or join put on this host')
            [CompletionResult]::new('certgen', 'certgen', [CompletionResultType]::ParameterValue, 'Make certificates for stream servers and external tools')
            [CompletionResult]::new('debug', 'debug', [CompletionResultType]::ParameterValue, 'Look for trouble on this host')
            [CompletionResult]::new('version', 'version', [CompletionResultType]::ParameterValue, 'Print the version')
            [CompletionResult]::new('completion', 'completion', [CompletionResultType]::ParameterValue, 'Print a completion script for a shell')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;init' {
            [CompletionResult]::new('--advertise-address', '--advertise-address', [CompletionResultType]::ParameterName, 'Addresses under which edge nodes reach this host, comma-separated; the first is printed in the join command')
            [CompletionResult]::new('--dns-names', '--dns-names', [CompletionResultType]::ParameterName, 'DNS names for the server certificate, comma-separated')
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Use the cluster of this kubeconfig; without it a cluster found at the usual places is used, else keadm brings its own')
            [CompletionResult]::new('--master', '--master', [CompletionResultType]::ParameterName, 'API server URL; overrides the kubeconfig''s')
            [CompletionResult]::new('--kubeedge-version', '--kubeedge-version', [CompletionResultType]::ParameterName, 'Accepted; this binary installs itself')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Override a value of cloudcore.yaml, e.g. modules.cloudStream.enable=true')
            [CompletionResult]::new('--ignore-preflight-errors', '--ignore-preflight-errors', [CompletionResultType]::ParameterName, 'Checks to skip by id, comma-separated, or all')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Seconds to wait until everything is ready')
            [CompletionResult]::new('--tarballpath', '--tarballpath', [CompletionResultType]::ParameterName, 'tarballpath')
            [CompletionResult]::new('--image-repository', '--image-repository', [CompletionResultType]::ParameterName, 'image-repository')
            [CompletionResult]::new('--external-helm-root', '--external-helm-root', [CompletionResultType]::ParameterName, 'external-helm-root')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'profile')
            [CompletionResult]::new('--manifests', '--manifests', [CompletionResultType]::ParameterName, 'manifests')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'f')
            [CompletionResult]::new('--files', '--files', [CompletionResultType]::ParameterName, 'files')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--embedded', '--embedded', [CompletionResultType]::ParameterName, 'Bring our own Kubernetes even if a cluster is found at the usual places')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Show what would be done; change nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would be done; change nothing')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Do not wait until everything is ready')
            [CompletionResult]::new('--skip-preflight-checks', '--skip-preflight-checks', [CompletionResultType]::ParameterName, 'Skip all checks')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;join' {
            [CompletionResult]::new('-e', '-e', [CompletionResultType]::ParameterName, 'Address and port of cloudcore; IPv6 in brackets')
            [CompletionResult]::new('--cloudcore-ipport', '--cloudcore-ipport', [CompletionResultType]::ParameterName, 'Address and port of cloudcore; IPv6 in brackets')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Token that `keadm gettoken` prints on the cloud host; `-` reads it from stdin')
            [CompletionResult]::new('--token', '--token', [CompletionResultType]::ParameterName, 'Token that `keadm gettoken` prints on the cloud host; `-` reads it from stdin')
            [CompletionResult]::new('--token-file', '--token-file', [CompletionResultType]::ParameterName, 'File with the token')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Name of the node; the host name by default')
            [CompletionResult]::new('--edgenode-name', '--edgenode-name', [CompletionResultType]::ParameterName, 'Name of the node; the host name by default')
            [CompletionResult]::new('--edgenode-ip', '--edgenode-ip', [CompletionResultType]::ParameterName, 'Address of the node')
            [CompletionResult]::new('--interfacename', '--interfacename', [CompletionResultType]::ParameterName, 'Network interface whose address the node reports')
            [CompletionResult]::new('--cgroupdriver', '--cgroupdriver', [CompletionResultType]::ParameterName, 'cgroupfs or systemd; what the container runtime uses by default')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Socket of the container runtime; the usual places are searched by default')
            [CompletionResult]::new('--remote-runtime-endpoint', '--remote-runtime-endpoint', [CompletionResultType]::ParameterName, 'Socket of the container runtime; the usual places are searched by default')
            [CompletionResult]::new('-l', '-l', [CompletionResultType]::ParameterName, 'Labels of the node, comma-separated')
            [CompletionResult]::new('--labels', '--labels', [CompletionResultType]::ParameterName, 'Labels of the node, comma-separated')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'Port of the certificate server')
            [CompletionResult]::new('--certport', '--certport', [CompletionResultType]::ParameterName, 'Port of the certificate server')
            [CompletionResult]::new('--tunnelport', '--tunnelport', [CompletionResultType]::ParameterName, 'Port of the stream tunnel')
            [CompletionResult]::new('--quicport', '--quicport', [CompletionResultType]::ParameterName, 'Port of the QUIC hub')
            [CompletionResult]::new('--hub-protocol', '--hub-protocol', [CompletionResultType]::ParameterName, 'Protocol of the link to the cloud')
            [CompletionResult]::new('--certPath', '--certPath', [CompletionResultType]::ParameterName, 'Directory of the node''s certificates')
            [CompletionResult]::new('--with-mqtt', '--with-mqtt', [CompletionResultType]::ParameterName, 'true: use the built-in MQTT broker; false: an external one')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Override a value of edgecore.yaml, e.g. modules.edgeStream.enable=true')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Seconds to wait until the node is registered')
            [CompletionResult]::new('--ignore-preflight-errors', '--ignore-preflight-errors', [CompletionResultType]::ParameterName, 'Checks to skip by id, comma-separated, or all')
            [CompletionResult]::new('--pre-run', '--pre-run', [CompletionResultType]::ParameterName, 'Program to run before anything else')
            [CompletionResult]::new('--post-run', '--post-run', [CompletionResultType]::ParameterName, 'Program to run after success')
            [CompletionResult]::new('--kubeedge-version', '--kubeedge-version', [CompletionResultType]::ParameterName, 'Accepted; this binary installs itself')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'docker means cri-dockerd')
            [CompletionResult]::new('--runtimetype', '--runtimetype', [CompletionResultType]::ParameterName, 'docker means cri-dockerd')
            [CompletionResult]::new('--region', '--region', [CompletionResultType]::ParameterName, 'region')
            [CompletionResult]::new('--tarballpath', '--tarballpath', [CompletionResultType]::ParameterName, 'tarballpath')
            [CompletionResult]::new('--image-repository', '--image-repository', [CompletionResultType]::ParameterName, 'image-repository')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--with-edge-taint', '--with-edge-taint', [CompletionResultType]::ParameterName, 'Keep pods away that do not tolerate node-role.kubernetes.io/edge:NoSchedule')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would be done; change nothing')
            [CompletionResult]::new('--no-wait', '--no-wait', [CompletionResultType]::ParameterName, 'Do not wait until the node is registered')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;gettoken' {
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Kubeconfig of the cluster')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--print-join-command', '--print-join-command', [CompletionResultType]::ParameterName, 'Print the whole join command instead of the token alone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;reset' {
            [CompletionResult]::new('--remote-runtime-endpoint', '--remote-runtime-endpoint', [CompletionResultType]::ParameterName, 'Socket of the container runtime; the one of edgecore.yaml by default')
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Accepted; the cluster is not touched')
            [CompletionResult]::new('--pre-run', '--pre-run', [CompletionResultType]::ParameterName, 'Program to run before anything else')
            [CompletionResult]::new('--post-run', '--post-run', [CompletionResultType]::ParameterName, 'Program to run after success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Do not ask')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would be done; change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;certgen' {
            [CompletionResult]::new('--ca-path', '--ca-path', [CompletionResultType]::ParameterName, 'Directory of the CA')
            [CompletionResult]::new('--cert-path', '--cert-path', [CompletionResultType]::ParameterName, 'Directory of the certificates')
            [CompletionResult]::new('--ips', '--ips', [CompletionResultType]::ParameterName, 'IP addresses for the certificate, separated by blanks or commas')
            [CompletionResult]::new('--domains', '--domains', [CompletionResultType]::ParameterName, 'DNS names for the certificate, separated by blanks or commas')
            [CompletionResult]::new('--subject', '--subject', [CompletionResultType]::ParameterName, 'Subject of the certificate')
            [CompletionResult]::new('--k8s-ca', '--k8s-ca', [CompletionResultType]::ParameterName, 'CA certificate of Kubernetes')
            [CompletionResult]::new('--k8s-ca-key', '--k8s-ca-key', [CompletionResultType]::ParameterName, 'CA key of Kubernetes')
            [CompletionResult]::new('--days', '--days', [CompletionResultType]::ParameterName, 'Days until the certificate ends')
            [CompletionResult]::new('--key-type', '--key-type', [CompletionResultType]::ParameterName, 'Accepted; keys are always ECDSA P-256')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace what is there')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('stream', 'stream', [CompletionResultType]::ParameterValue, 'Certificate of the stream server, signed by the Kubernetes CA')
            [CompletionResult]::new('genCertAndKey', 'genCertAndKey', [CompletionResultType]::ParameterValue, 'CA if there is none, and a certificate with its key')
            [CompletionResult]::new('buildSecret', 'buildSecret', [CompletionResultType]::ParameterValue, 'Secret with the CA and an edge certificate, as a manifest on stdout')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;certgen;stream' {
            [CompletionResult]::new('--ca-path', '--ca-path', [CompletionResultType]::ParameterName, 'Directory of the CA')
            [CompletionResult]::new('--cert-path', '--cert-path', [CompletionResultType]::ParameterName, 'Directory of the certificates')
            [CompletionResult]::new('--ips', '--ips', [CompletionResultType]::ParameterName, 'IP addresses for the certificate, separated by blanks or commas')
            [CompletionResult]::new('--domains', '--domains', [CompletionResultType]::ParameterName, 'DNS names for the certificate, separated by blanks or commas')
            [CompletionResult]::new('--subject', '--subject', [CompletionResultType]::ParameterName, 'Subject of the certificate')
            [CompletionResult]::new('--k8s-ca', '--k8s-ca', [CompletionResultType]::ParameterName, 'CA certificate of Kubernetes')
            [CompletionResult]::new('--k8s-ca-key', '--k8s-ca-key', [CompletionResultType]::ParameterName, 'CA key of Kubernetes')
            [CompletionResult]::new('--days', '--days', [CompletionResultType]::ParameterName, 'Days until the certificate ends')
            [CompletionResult]::new('--key-type', '--key-type', [CompletionResultType]::ParameterName, 'Accepted; keys are always ECDSA P-256')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace what is there')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;certgen;genCertAndKey' {
            [CompletionResult]::new('--ca-path', '--ca-path', [CompletionResultType]::ParameterName, 'Directory of the CA')
            [CompletionResult]::new('--cert-path', '--cert-path', [CompletionResultType]::ParameterName, 'Directory of the certificates')
            [CompletionResult]::new('--domains', '--domains', [CompletionResultType]::ParameterName, 'DNS names for the certificate, separated by blanks or commas')
            [CompletionResult]::new('--subject', '--subject', [CompletionResultType]::ParameterName, 'Subject of the certificate')
            [CompletionResult]::new('--k8s-ca', '--k8s-ca', [CompletionResultType]::ParameterName, 'CA certificate of Kubernetes')
            [CompletionResult]::new('--k8s-ca-key', '--k8s-ca-key', [CompletionResultType]::ParameterName, 'CA key of Kubernetes')
            [CompletionResult]::new('--days', '--days', [CompletionResultType]::ParameterName, 'Days until the certificate ends')
            [CompletionResult]::new('--key-type', '--key-type', [CompletionResultType]::ParameterName, 'Accepted; keys are always ECDSA P-256')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace what is there')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;certgen;buildSecret' {
            [CompletionResult]::new('--ca-path', '--ca-path', [CompletionResultType]::ParameterName, 'Directory of the CA')
            [CompletionResult]::new('--cert-path', '--cert-path', [CompletionResultType]::ParameterName, 'Directory of the certificates')
            [CompletionResult]::new('--ips', '--ips', [CompletionResultType]::ParameterName, 'IP addresses for the certificate, separated by blanks or commas')
            [CompletionResult]::new('--domains', '--domains', [CompletionResultType]::ParameterName, 'DNS names for the certificate, separated by blanks or commas')
            [CompletionResult]::new('--subject', '--subject', [CompletionResultType]::ParameterName, 'Subject of the certificate')
            [CompletionResult]::new('--k8s-ca', '--k8s-ca', [CompletionResultType]::ParameterName, 'CA certificate of Kubernetes')
            [CompletionResult]::new('--k8s-ca-key', '--k8s-ca-key', [CompletionResultType]::ParameterName, 'CA key of Kubernetes')
            [CompletionResult]::new('--days', '--days', [CompletionResultType]::ParameterName, 'Days until the certificate ends')
            [CompletionResult]::new('--key-type', '--key-type', [CompletionResultType]::ParameterName, 'Accepted; keys are always ECDSA P-256')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace what is there')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;certgen;help' {
            [CompletionResult]::new('stream', 'stream', [CompletionResultType]::ParameterValue, 'Certificate of the stream server, signed by the Kubernetes CA')
            [CompletionResult]::new('genCertAndKey', 'genCertAndKey', [CompletionResultType]::ParameterValue, 'CA if there is none, and a certificate with its key')
            [CompletionResult]::new('buildSecret', 'buildSecret', [CompletionResultType]::ParameterValue, 'Secret with the CA and an edge certificate, as a manifest on stdout')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;certgen;help;stream' {
            break
        }
        'keadm;certgen;help;genCertAndKey' {
            break
        }
        'keadm;certgen;help;buildSecret' {
            break
        }
        'keadm;certgen;help;help' {
            break
        }
        'keadm;debug' {
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Check whether this host can be an edge node')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;debug;check' {
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Name to resolve')
            [CompletionResult]::new('--domain', '--domain', [CompletionResultType]::ParameterName, 'Name to resolve')
            [CompletionResult]::new('-D', '-D ', [CompletionResultType]::ParameterName, 'DNS server to ask instead of the system''s')
            [CompletionResult]::new('--dns-ip', '--dns-ip', [CompletionResultType]::ParameterName, 'DNS server to ask instead of the system''s')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Address to reach instead of cloudcore''s')
            [CompletionResult]::new('--ip', '--ip', [CompletionResultType]::ParameterName, 'Address to reach instead of cloudcore''s')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'Address of cloudcore; the one of edgecore.yaml by default')
            [CompletionResult]::new('--cloud-hub-server', '--cloud-hub-server', [CompletionResultType]::ParameterName, 'Address of cloudcore; the one of edgecore.yaml by default')
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'Configuration of edgecore')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Configuration of edgecore')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Socket of the container runtime')
            [CompletionResult]::new('--remote-runtime-endpoint', '--remote-runtime-endpoint', [CompletionResultType]::ParameterName, 'Socket of the container runtime')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;debug;help' {
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Check whether this host can be an edge node')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;debug;help;check' {
            break
        }
        'keadm;debug;help;help' {
            break
        }
        'keadm;version' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'short, yaml or json')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'short, yaml or json')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;completion' {
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('--v', '--v', [CompletionResultType]::ParameterName, 'Log verbosity of what keadm does itself')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;help' {
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Set up the cloud side on this host')
            [CompletionResult]::new('join', 'join', [CompletionResultType]::ParameterValue, 'Make this host an edge node')
            [CompletionResult]::new('gettoken', 'gettoken', [CompletionResultType]::ParameterValue, 'Print the token that edge nodes join with')
            [CompletionResult]::new('reset', 'reset', [CompletionResultType]::ParameterValue, 'Remove what init or join put on this host')
            [CompletionResult]::new('certgen', 'certgen', [CompletionResultType]::ParameterValue, 'Make certificates for stream servers and external tools')
            [CompletionResult]::new('debug', 'debug', [CompletionResultType]::ParameterValue, 'Look for trouble on this host')
            [CompletionResult]::new('version', 'version', [CompletionResultType]::ParameterValue, 'Print the version')
            [CompletionResult]::new('completion', 'completion', [CompletionResultType]::ParameterValue, 'Print a completion script for a shell')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;help;init' {
            break
        }
        'keadm;help;join' {
            break
        }
        'keadm;help;gettoken' {
            break
        }
        'keadm;help;reset' {
            break
        }
        'keadm;help;certgen' {
            [CompletionResult]::new('stream', 'stream', [CompletionResultType]::ParameterValue, 'Certificate of the stream server, signed by the Kubernetes CA')
            [CompletionResult]::new('genCertAndKey', 'genCertAndKey', [CompletionResultType]::ParameterValue, 'CA if there is none, and a certificate with its key')
            [CompletionResult]::new('buildSecret', 'buildSecret', [CompletionResultType]::ParameterValue, 'Secret with the CA and an edge certificate, as a manifest on stdout')
            break
        }
        'keadm;help;certgen;stream' {
            break
        }
        'keadm;help;certgen;genCertAndKey' {
            break
        }
        'keadm;help;certgen;buildSecret' {
            break
        }
        'keadm;help;debug' {
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Check whether this host can be an edge node')
            break
        }
        'keadm;help;debug;check' {
            break
        }
        'keadm;help;version' {
            break
        }
        'keadm;help;completion' {
            break
        }
        'keadm;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
