//! Bodies as kubectl 1.32.4 sends them, captured on a socket: command, resource, hexadecimal bytes, decoded object.

pub(super) const BODIES: &[(&str, &str, &str, &str)] = &[
    (
        "kubectl create deployment web --image=nginx:1.27 --replicas=0 --port=80",
        "deployments",
        "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412bd010a1f0a0377656212001a0022002a003200380042\
         005a0a0a036170701203776562128b010800120c0a0a0a0361707012037765621a710a1c0a0012001a0022002a0032003800\
         42005a0a0a036170701203776562125112330a056e67696e78120a6e67696e783a312e32372a00320a0a001000185022002a\
         0042006a007200800100880100900100a201001a00320042004a0052005800600068008201008a01009a0100c2010022020a\
         00280038001a0c0800100018002000280038001a002200",
        r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"labels":{"app":"web"},"name":"web"},"spec":{"replicas":0,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"nginx:1.27","name":"nginx","ports":[{"containerPort":80}]}]}}}}"#,
    ),
    (
        "kubectl create service nodeport svc --tcp=80:8080",
        "services",
        "6b3873000a0d0a02763112075365727669636512680a1f0a0373766312001a0022002a003200380042005a0a0a0361707012\
         0373766312410a1b0a0738302d38303830120354435018502207080010903f1a002800120a0a0361707012037376631a0022\
         084e6f6465506f72743a00420052005a00600068001a020a001a002200",
        r#"{"apiVersion":"v1","kind":"Service","metadata":{"labels":{"app":"svc"},"name":"svc"},"spec":{"ports":[{"name":"80-8080","port":80,"protocol":"TCP","targetPort":8080}],"selector":{"app":"svc"},"type":"NodePort"}}"#,
    ),
    (
        "kubectl create job j --image=busybox -- sleep 1",
        "jobs",
        "6b3873000a0f0a0862617463682f763112034a6f621282010a110a016a12001a0022002a00320038004200126332610a100a\
         0012001a0022002a00320038004200124d122a0a016a120762757379626f781a05736c6565701a01312a0042006a00720080\
         0100880100900100a201001a054e65766572320042004a0052005800600068008201008a01009a0100c201001a0820002800\
         30003a001a002200",
        r#"{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j"},"spec":{"template":{"spec":{"containers":[{"command":["sleep","1"],"image":"busybox","name":"j"}],"restartPolicy":"Never"}}}}"#,
    ),
    (
        "kubectl create quota q --hard=cpu=1500m,memory=1Gi",
        "resourcequotas",
        "6b3873000a130a027631120d5265736f7572636551756f746112380a110a017112001a0022002a0032003800420012210a0e\
         0a0363707512070a05313530306d0a0f0a066d656d6f727912050a033147691a001a002200",
        r#"{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"cpu":"1500m","memory":"1Gi"}}}"#,
    ),
    (
        "kubectl create poddisruptionbudget p --selector=a=b --min-available=50%",
        "poddisruptionbudgets",
        "6b3873000a200a09706f6c6963792f76311213506f6444697372757074696f6e42756467657412360a110a017012001a0022\
         002a0032003800420012150a09080110001a0335302512080a060a01611201621a0a080018002000280030001a002200",
        r#"{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"p"},"spec":{"minAvailable":"50%","selector":{"matchLabels":{"a":"b"}}},"status":{"currentHealthy":0,"desiredHealthy":0,"disruptionsAllowed":0,"expectedPods":0}}"#,
    ),
];
