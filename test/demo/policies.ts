// The objects that the demo applies, as a person would write them.

export const L4_POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: reviews-callers, namespace: shop }
spec:
  selector: { matchLabels: { app: reviews } }
  action: ALLOW
  rules:
    - from:
        - source:
            principals: [cluster.local/ns/shop/sa/web, cluster.local/ns/shop/sa/waypoint]
`;

export const ROUTE = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: reviews, port: 9080 }]
  rules:
    - matches: [{ headers: [{ name: x-user, value: tester }] }]
      backendRefs: [{ name: reviews-v3, port: 9080 }]
    - backendRefs:
        - { name: reviews-v1, port: 9080, weight: 90 }
        - { name: reviews-v2, port: 9080, weight: 10 }
`;

export const L7_POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: reviews-readers, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: reviews }]
  action: ALLOW
  rules:
    - to: [{ operation: { methods: [GET] } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: reviews-keep, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: reviews }]
  action: DENY
  rules:
    - to: [{ operation: { methods: [DELETE] } }]
`;
